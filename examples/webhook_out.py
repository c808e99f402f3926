"""Posts what is said to a URL, each message as JSON: for a bridge, an archive, or a program on another machine.

It needs `pip install httpcore`, a client for HTTP that runs on Trio; it brings h11 and certifi, and no asyncio.
Run it with `trichat serve --plugin examples/webhook_out.py`, and say in `trichat.toml` where to:

    [plugins.webhook_out]
    url = "https://example.org/chat"

The chat never waits for it: a message costs the room 3 microseconds. Its post takes some 2 ms of the processor, 7 with
https (both ends counted), because each has a connection of its own: for tens of messages a second, not for thousands.
A message may come twice, with the same id, when the answer to the first was lost.
"""

import json
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import httpcore
import trio

from trichat import ConfigError, Message, Meta, Options, Server, hookimpl

logger = logging.getLogger("trichat.webhook_out")

# Seconds before each further try; who is down for longer than all of them loses the message.
PAUSES = (1, 2, 4, 8, 16, 30, 30)
# What still waits at the end has this part of `shutdown_timeout`: other plugins need the rest.
GRACE = 0.05

_FAULTS = (trio.TooSlowError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


class WebhookOutOptions(Options, frozen=True):
    """The table `[plugins.webhook_out]`."""

    url: Annotated[str, Meta(pattern=r"^(https?://[0-9A-Za-z\[][!-~]*)?$"), "Where to post; empty: nowhere."] = ""
    token: Annotated[str, Meta(pattern=r"^[!-~]*$"), "Sent as `Authorization: Bearer TOKEN`, unless empty."] = ""
    kinds: Annotated[tuple[Literal["said", "joined", "left", "notice"], ...], "Which messages."] = ("said",)
    timeout: Annotated[float, Meta(gt=0, le=300), "Seconds that one try may take, from the connection to the end."] = (
        10.0
    )
    queue: Annotated[int, Meta(ge=1, le=100_000), "Messages that may wait; what comes then is left out."] = 1000


class WebhookOut:
    """Has one task, which posts one message after the other, and a queue that does not grow beyond its limit."""

    def __init__(self, options: WebhookOutOptions) -> None:
        self._options = options
        try:
            self._url = httpcore.URL(options.url)
        except ValueError as error:
            raise ConfigError([f"url: {error} (here: {options.url!r})"]) from error
        self._headers: dict[bytes | str, bytes | str] = {"Content-Type": "application/json", "User-Agent": "trichat"}
        if options.token:
            self._headers["Authorization"] = f"Bearer {options.token}"
        self._waiting = deque[Message]()
        self._arrived = trio.Event()
        self._left_out = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Post as long as the server runs, and what still waits for a moment longer."""
        if not self._options.url:
            yield
            return
        # The certificates that this machine trusts, or the file that SSL_CERT_FILE names.
        trusted = ssl.create_default_context() if self._url.scheme == b"https" else None
        async with httpcore.AsyncConnectionPool(trusted, max_keepalive_connections=0) as pool:
            server.start_soon(self._post_for_ever, pool)
            try:
                yield
                # The task has ended; what it was about to deliver still waits.
                with trio.move_on_after(GRACE * server.options.shutdown_timeout):
                    await self._post_waiting(pool)
            finally:
                if self._waiting or self._left_out:
                    logger.warning("%d messages are not delivered at the end", len(self._waiting) + self._left_out)

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Put into the queue what fits. The newest is left out: what has waited for long is not given up for it."""
        if self._options.url:
            wanted = [message for message in messages if message.kind in self._options.kinds]
            free = self._options.queue - len(self._waiting)
            self._waiting.extend(wanted[:free])
            self._left_out += len(wanted[free:])
            self._arrived.set()

    async def _post_for_ever(self, pool: httpcore.AsyncConnectionPool) -> None:
        while True:
            self._arrived = trio.Event()
            await self._post_waiting(pool)
            await self._arrived.wait()

    async def _post_waiting(self, pool: httpcore.AsyncConnectionPool) -> None:
        while self._waiting:
            await self._post(pool, self._waiting[0])
            # Only now: who is cancelled meanwhile has not delivered it.
            self._waiting.popleft()
            if self._left_out:
                logger.warning("the webhook is too slow: %d messages are left out", self._left_out)
                self._left_out = 0

    async def _post(self, pool: httpcore.AsyncConnectionPool, message: Message) -> None:
        """Try until it is taken, or until it makes no sense any more."""
        parts = {name: getattr(message, name) for name in ("id", "room", "kind", "sender", "text")}
        content = json.dumps({**parts, "time": message.time.isoformat()}).encode()
        for pause in (*PAUSES, None):
            try:
                status = await self._status(pool, content)
                problem = f"it answers {status}"
            except _FAULTS as error:
                status, problem = 0, _reason(error)
            if 200 <= status < 300:
                return
            # What else it does not want, it will not want the next time.
            if pause is None or (0 < status < 500 and status not in (408, 429)):
                break
            logger.warning("the webhook has not taken a message, next try in %d s: %s", pause, problem)
            await trio.sleep(pause)
        logger.warning("the webhook has not taken message %d, which is given up: %s", message.id, problem)

    async def _status(self, pool: httpcore.AsyncConnectionPool, content: bytes) -> int:
        # The rest of the answer is not read, however long it is; so each message has a connection of its own.
        with trio.fail_after(self._options.timeout):
            async with pool.stream("POST", self._url, headers=self._headers, content=content) as response:
                return response.status


def _reason(error: BaseException) -> str:
    """What is at the bottom of it: who cannot be reached, or what is wrong with the certificate."""
    if isinstance(error, trio.TooSlowError):
        return "no answer in time"
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return str(error) or type(error).__name__
