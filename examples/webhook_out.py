"""Post each message as JSON to a URL: for a bridge, an archive, or a program on another machine.

It needs `pip install httpcore`, an HTTP client that runs on Trio. It brings h11 and certifi, and no asyncio.
Run it with `trichat serve --plugin examples/webhook_out.py`, and set the URL in `trichat.toml`:

    [plugins.webhook_out]
    url = "https://example.org/chat"

The chat never waits for it: a message costs the room 3 microseconds. Each post has a connection of its own, and takes
about 2 ms of processor time, or 7 ms with https, both ends together. That suits tens of messages a second, not
thousands. A message may arrive twice, with the same id, if the answer to the first post was lost.
"""

import json
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import httpcore
import trio

from trichat import ConfigError, Kind, Message, Meta, Options, Server, hookimpl

logger = logging.getLogger("trichat.webhook_out")

# Seconds before each further try. A webhook that is down for longer than all of them loses the message.
PAUSES = (1, 2, 4, 8, 16, 30, 30)
# The share of `shutdown_timeout` for messages that still wait at the end. Other plugins need the rest.
GRACE = 0.03

_FAULTS = (trio.TooSlowError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


class WebhookOutOptions(Options, frozen=True):
    """The table `[plugins.webhook_out]`."""

    url: Annotated[str, Meta(pattern=r"^(https?://[0-9A-Za-z\[][!-~]*)?$"), "Where to post; empty for nowhere."] = ""
    token: Annotated[str, Meta(pattern=r"^[!-~]*$"), "Sent as `Authorization: Bearer TOKEN`, unless empty."] = ""
    kinds: Annotated[tuple[Kind, ...], "The kinds of messages to post."] = ("said",)
    timeout: Annotated[float, Meta(gt=0, le=300), "Seconds that one try may take, with the connection."] = 10.0
    queue: Annotated[int, Meta(ge=1, le=100_000), "Messages that may wait; further ones are dropped."] = 1000


class WebhookOut:
    """One task posts one message after the other, from a queue with a limit."""

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
        self._dropped = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Post as long as the server runs. Then post the messages that still wait, for a moment longer."""
        if not self._options.url:
            yield
            return
        # The certificates that this machine trusts, or those in the file that SSL_CERT_FILE names.
        trusted = ssl.create_default_context() if self._url.scheme == b"https" else None
        async with httpcore.AsyncConnectionPool(trusted, max_keepalive_connections=0) as pool:
            server.start_soon(self._post_for_ever, pool)
            try:
                yield
                # The task has ended. The message that it was posting is still in the queue.
                with trio.move_on_after(GRACE * server.options.shutdown_timeout):
                    await self._post_waiting(pool)
            finally:
                if self._waiting or self._dropped:
                    logger.warning("%d messages were not delivered before the stop", len(self._waiting) + self._dropped)

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Queue the messages that fit, and drop the newest others: older messages have waited long enough."""
        if self._options.url:
            wanted = [message for message in messages if message.kind in self._options.kinds]
            free = self._options.queue - len(self._waiting)
            self._waiting.extend(wanted[:free])
            self._dropped += len(wanted[free:])
            self._arrived.set()

    async def _post_for_ever(self, pool: httpcore.AsyncConnectionPool) -> None:
        while True:
            self._arrived = trio.Event()
            await self._post_waiting(pool)
            await self._arrived.wait()

    async def _post_waiting(self, pool: httpcore.AsyncConnectionPool) -> None:
        while self._waiting:
            await self._post(pool, self._waiting[0])
            # Removed last: if the post is cancelled, the message is not delivered and must stay in the queue.
            self._waiting.popleft()
            if self._dropped:
                logger.warning("the webhook is too slow: %d messages were dropped", self._dropped)
                self._dropped = 0

    async def _post(self, pool: httpcore.AsyncConnectionPool, message: Message) -> None:
        """Try until the webhook accepts the message, or until another try makes no sense."""
        parts = {name: getattr(message, name) for name in ("id", "rooms", "kind", "sender", "text", "about")}
        content = json.dumps({**parts, "sentence": message.sentence(), "time": message.time.isoformat()}).encode()
        for pause in (*PAUSES, None):
            try:
                status = await self._status(pool, content)
                problem = f"it answered {status}"
            except _FAULTS as error:
                status, problem = 0, _reason(error)
            if 200 <= status < 300:
                return
            # A webhook that rejects a message with another status would reject it again.
            if pause is None or (0 < status < 500 and status not in (408, 429)):
                break
            logger.warning("the webhook did not accept a message, next try in %d s: %s", pause, problem)
            await trio.sleep(pause)
        logger.warning("the webhook did not accept message %d, giving up: %s", message.id, problem)

    async def _status(self, pool: httpcore.AsyncConnectionPool, content: bytes) -> int:
        # Never read the body of the answer, which may be long. So each message needs a connection of its own.
        with trio.fail_after(self._options.timeout):
            async with pool.stream("POST", self._url, headers=self._headers, content=content) as response:
                return response.status


def _reason(error: BaseException) -> str:
    """Return the root cause: the host that cannot be reached, or the problem with the certificate."""
    if isinstance(error, trio.TooSlowError):
        return "no answer in time"
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return str(error) or type(error).__name__
