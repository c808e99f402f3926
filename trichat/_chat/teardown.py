"""The end of a session: the room hears of it, the plugins hear of it, the client gets its last words."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from trichat import hookspecs
from trichat._base.errors import ConnectionLost
from trichat._chat.client import Client
from trichat._chat.context import House
from trichat._fronts.wire import Wire
from trichat._net.transport import Transport

logger = logging.getLogger("trichat.session")

# Seconds for the other side to close after the last words.
FAREWELL_TIMEOUT = 1.0


class Closing:
    """Closes the session of `client`, in steps that nothing can cancel; each has a deadline."""

    __slots__ = (
        "_client",
        "_house",
        "_latest_end",
        "_step",
        "_transport",
        "_wire",
        "was_admitted",
        "was_connected",
    )

    def __init__(self, client: Client, transport: Transport, wire: Wire, house: House) -> None:
        self._client = client
        self._transport = transport
        self._wire = wire
        self._house = house
        self.was_admitted = False
        """Whether there is a place for the client in the hub, and the plugins have been asked."""
        self.was_connected = False
        """Whether it was allowed to stay."""
        self._step: trio.CancelScope | None = None
        self._latest_end = math.inf

    def end_by(self, deadline: float) -> None:
        """Be through by `deadline` (of Trio's clock), whatever it still waits for."""
        self._latest_end = deadline
        if self._step is not None:
            self._step.deadline = min(self._step.deadline, deadline)

    async def run(self) -> None:
        """Let everyone know. Each step is taken, whatever becomes of the one before it."""
        try:
            await self._leave()
        finally:
            try:
                await self._tell_plugins()  # noqa: ASYNC102
            finally:
                await self._hang_up()  # noqa: ASYNC102

    async def _leave(self) -> None:
        client, house = self._client, self._house
        if client.room and not client._outbox.closed:
            # What the client said just before its end still reaches it, as late as anything may.
            with self._shielded(house.options.send_timeout):
                await house.broadcaster.inbox.flush()
        house.broadcaster.leave(client)
        house.hub.release(client)
        # Who piped a `stop` has closed its side already, and still reads.
        last_words = client._farewell or client.server._last_words
        client._outbox.close(self._wire.encode_notice(last_words) if last_words else b"")

    async def _tell_plugins(self) -> None:
        client = self._client
        if self.was_admitted:
            # Each plugin has its own hook_timeout here, as always; a stop may cut it short.
            with self._shielded(math.inf):
                await self._house.plugins.tell(hookspecs.on_disconnect, client, client._reason or "")
        if self.was_connected:
            logger.info("%s disconnected: %s", client, client._reason)

    async def _hang_up(self) -> None:
        try:
            with self._shielded(self._house.options.send_timeout), suppress(ConnectionLost):
                await self._client._outbox.flushed()
            if self.was_admitted:
                with self._shielded(FAREWELL_TIMEOUT), suppress(ConnectionLost):
                    await self._linger()
        finally:
            with self._shielded(FAREWELL_TIMEOUT):
                # It closes at once, whatever is cancelled.
                await self._transport.close()  # noqa: ASYNC102
            # Only now: its descriptor counts until it is closed.
            if self.was_admitted:
                self._house.hub.dismiss(self._client)

    @contextmanager
    def _shielded(self, seconds: float) -> Iterator[None]:
        deadline = min(trio.current_time() + seconds, self._latest_end)
        with trio.CancelScope(shield=True, deadline=deadline) as self._step:
            yield

    async def _linger(self) -> None:
        """Wait for the other side to close: closing over unread input would take back what is on its way to it."""
        await self._transport.send_eof()
        while await self._transport.receive():
            pass
