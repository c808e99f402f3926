"""The end of a session: the client leaves its room and gets its last words, plugins are told, the connection closes."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from trichat import hookspecs
from trichat._base.errors import ConnectionLost
from trichat._chat.client import Connection
from trichat._chat.context import Context
from trichat._net.transport import Transport

logger = logging.getLogger("trichat.session")

# Seconds that the other side has to close the connection after the last words.
FAREWELL_TIMEOUT = 1.0


class Teardown:
    """Ends the session of one client, in steps that nothing can cancel. Each has a deadline, or the plugins' own."""

    __slots__ = (
        "_connection",
        "_context",
        "_latest_end",
        "_step",
        "_transport",
        "was_admitted",
        "was_connected",
    )

    def __init__(self, connection: Connection, transport: Transport, context: Context) -> None:
        self._connection = connection
        self._transport = transport
        self._context = context
        self.was_admitted = False
        """Whether the hub has a place for the client, and the plugins were asked."""
        self.was_connected = False
        """Whether it was allowed to stay."""
        self._step: trio.CancelScope | None = None
        self._latest_end = math.inf

    def end_by(self, deadline: float) -> None:
        """Finish by `deadline` (of Trio's clock), whatever it still waits for."""
        self._latest_end = min(self._latest_end, deadline)
        if self._step is not None:
            self._step.deadline = min(self._step.deadline, deadline)

    async def run(self) -> None:
        """Take every step, whatever becomes of the one before it."""
        try:
            await self._leave()
        finally:
            try:
                await self._tell_plugins()  # noqa: ASYNC102
            finally:
                await self._hang_up()  # noqa: ASYNC102

    async def _leave(self) -> None:
        connection, context = self._connection, self._context
        if connection.room and not connection.outbox.closed:
            # What the client said just before its end still reaches it, as late as anything may.
            with self._shielded(context.options.send_timeout):
                await context.broadcaster.inbox.flush()
        context.broadcaster.leave(connection)
        context.hub.release(connection)
        # A client that piped its `stop` has closed its side already, and still reads.
        last_words = connection.farewell or context.shutdown.announcement
        connection.outbox.close(connection.dialogue.farewell(last_words) if last_words else b"")

    async def _tell_plugins(self) -> None:
        connection = self._connection
        if self.was_admitted:
            # Each plugin has its own hook_timeout here, as always; a stop may cut it short.
            with self._shielded(math.inf):
                await self._context.plugins.tell(hookspecs.on_disconnect, connection.client, connection.reason or "")
        if self.was_connected:
            logger.info("%s disconnected: %s", connection, connection.reason)

    async def _hang_up(self) -> None:
        try:
            with self._shielded(self._context.options.send_timeout), suppress(ConnectionLost):
                await self._connection.outbox.flushed()
            if self.was_admitted:
                with self._shielded(FAREWELL_TIMEOUT), suppress(ConnectionLost):
                    await self._linger()
        finally:
            with self._shielded(FAREWELL_TIMEOUT):
                # It closes at once, whatever is cancelled.
                await self._transport.close()  # noqa: ASYNC102
            # Only now: its descriptor counts until it is closed.
            if self.was_admitted:
                self._context.hub.dismiss(self._connection)

    @contextmanager
    def _shielded(self, seconds: float) -> Iterator[None]:
        deadline = min(trio.current_time() + seconds, self._latest_end)
        with trio.CancelScope(shield=True, deadline=deadline) as self._step:
            yield

    async def _linger(self) -> None:
        """Wait for the other side to close. Closing over unread input would discard what is on its way to it."""
        await self._transport.send_eof()
        while await self._transport.receive():
            pass
