"""What waits to be sent to one client.

`put` never waits, so a client that does not read costs a fan-out no more than any other. It tries the socket at once.
What the socket does not take becomes the client's backlog, and only then does a drain task run in the client's nursery.
On a transport without a direct way, the drain task sends everything: one class, one limit, two ways out.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import trio

from trichat._base.errors import ConnectionLost
from trichat._net.transport import Bytes, Transport, connection_lost

Send = Callable[[Bytes], Awaitable[None]]


class Outbox:
    """The sending half of one connection.

    At most `limit` bytes wait, besides what is partly sent. `give_up` is called with the reason when more would have to
    wait, when the client takes nothing for `send_timeout` seconds, or when it is gone; what is put after that is
    discarded. What the socket does not take at once is sent by a task in the nursery that `drain_in` names.
    """

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_begun",
        "_broken",
        "_closed",
        "_direct",
        "_give_up",
        "_limit",
        "_nursery",
        "_send_timeout",
        "_transport",
        "_writer_done",
    )

    def __init__(
        self,
        transport: Transport,
        *,
        limit: int,
        send_timeout: float,
        give_up: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._direct = transport.direct
        """The transport's direct way while the outbox is open and nothing waits; otherwise `None`."""
        self._nursery: trio.Nursery | None = None
        self._limit = limit
        self._send_timeout = send_timeout
        self._give_up = give_up
        self._begun: Bytes = b""
        """The rest of a chunk that is partly sent. It does not count towards the limit: it is a batch whose bytes the
        whole room shares, a page of history, or what waited for the history. It is no longer than `limit`, so at most
        twice the limit is kept."""
        self._backlog: deque[bytes] | None = None
        """Whole chunks, which may be dropped without tearing a line. `None` rather than empty: an empty deque takes 600
        bytes, for each client."""
        self._backlog_bytes = 0
        self._writer_done: trio.Event | None = None
        """There while a task writes; what is put meanwhile has to wait."""
        self._closed = False
        """Nothing can be put any more."""
        self._broken = False
        """Nothing can be sent any more."""

    def drain_in(self, nursery: trio.Nursery) -> None:
        """Run drain tasks in `nursery`, the client's own. Before that, only what goes at once is sent."""
        self._nursery = nursery
        if self._is_waiting:
            self._start_draining()

    @property
    def closed(self) -> bool:
        """Whether nothing can be put any more: the last words were put, or it gave up."""
        return self._closed

    @property
    def backlog_bytes(self) -> int:
        """The bytes that wait, without the rest of what is partly sent."""
        return self._backlog_bytes

    @property
    def _is_waiting(self) -> bool:
        """Whether something has to be sent first: a task writes it, or a cancelled one left it behind."""
        return self._writer_done is not None or bool(self._begun) or bool(self._backlog)

    def put(self, data: bytes) -> None:
        """Send what the socket takes at once, and keep the rest."""
        if self._closed:
            return
        if not self._is_waiting:
            self._send_nowait(data)
        elif self._backlog_bytes + len(data) <= self._limit:
            self._keep(data)
        else:
            self.give_up(f"too slow: more than {self._limit} bytes were waiting")

    def give_up(self, reason: str) -> None:
        """Send nothing more but the rest of what is partly sent, so that the reason can follow on a line of its own."""
        if not self._closed:
            self._take_no_more()
            self._drop_backlog()
            self._give_up(reason)

    def close(self, farewell: bytes = b"") -> None:
        """Put the last words. Nothing can be put after them."""
        self._take_no_more()
        if self._broken:
            return
        if not self._is_waiting:
            self._send_nowait(farewell)
        else:
            self._keep(farewell)

    def _take_no_more(self) -> None:
        self._closed = True
        self._direct = None

    def _send_nowait(self, data: bytes) -> None:
        try:
            sent = self._transport.send_nowait(data)
        except ConnectionLost as lost:
            self._break(lost)
            return
        if sent < len(data):
            self._drain_rest(data, sent)

    def _drain_rest(self, data: bytes, sent: int) -> None:
        self._begun = memoryview(data)[sent:]
        self._start_draining()

    def _keep(self, data: bytes) -> None:
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append(data)
        self._backlog_bytes += len(data)

    def _drop_backlog(self) -> None:
        self._backlog = None
        self._backlog_bytes = 0

    def _break(self, lost: ConnectionLost) -> None:
        self._take_no_more()
        self._broken = True
        self._begun = b""
        self._drop_backlog()
        self._give_up(str(lost))

    def _start_draining(self) -> None:
        if self._nursery is None:
            self._direct = None  # it waits for `drain_in`
            return
        self._begin_writing()
        self._nursery.start_soon(self._drain)

    async def _drain(self) -> None:
        try:
            await self._write_all()
        except ConnectionLost as lost:
            self._break(lost)
        finally:
            self._end_writing()

    def _begin_writing(self) -> None:
        self._writer_done = trio.Event()
        self._direct = None

    def _end_writing(self) -> None:
        assert self._writer_done is not None
        self._writer_done.set()
        self._writer_done = None
        self._direct = self._transport.direct if not self._closed and not self._is_waiting else None

    async def _write_all(self) -> None:
        while self._begun or self._backlog:
            if not self._begun and self._backlog:
                self._begun = self._backlog.popleft()
                self._backlog_bytes -= len(self._begun)
            await self._write_begun()
        self._backlog = None

    async def _write_begun(self) -> None:
        while self._begun:
            with trio.move_on_after(self._send_timeout) as scope:
                sent = await self._transport.send_some(self._begun)
            if scope.cancelled_caught:
                raise ConnectionLost(f"too slow: took nothing for {self._send_timeout:g} s")
            self._begun = memoryview(self._begun)[sent:] if sent < len(self._begun) else b""

    async def flushed(self) -> None:
        """Wait until everything that was put is sent. Raises `ConnectionLost`."""
        while self._writer_done is not None:
            await self._writer_done.wait()
        # A drain task that was cancelled may have left something behind.
        if self._begun or self._backlog:
            self._begin_writing()
            try:
                await self._write_all()
            finally:
                self._end_writing()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Send]:
        """Be the only writer. Gives a function that sends at the client's pace and raises `ConnectionLost`.

        What is put meanwhile is sent when the block ends, unless `put_ahead` is called.
        """
        await self.flushed()
        self._begin_writing()
        try:
            yield self._write
        finally:
            waited = b""
            if not self._begun and self._backlog:
                waited = b"".join(self._backlog)
                self._drop_backlog()
            self._end_writing()
            if self._begun:
                self._start_draining()
            elif waited:
                self._send_nowait(waited)

    def put_ahead(self) -> None:
        """Let what waits for an exclusive writer be sent before what it sends next, unless it is writing just now."""
        if self._backlog and not self._begun:
            self._begun = b"".join(self._backlog)
            self._drop_backlog()

    async def _write(self, data: Bytes) -> None:
        if self._begun:
            await self._write_begun()
        # Nearly always the socket takes all of it at once. Waiting for the socket first would take longer.
        sent = self._transport.send_nowait(data)
        if sent < len(data):
            self._begun = memoryview(data)[sent:]
            await self._write_begun()
        else:
            await trio.lowlevel.checkpoint()


def put_to_all(outboxes: Iterable[Outbox], data: bytes) -> None:
    """Put `data` into each of them.

    This runs for each delivery, and its system call leaves little in the processor's caches. What counts is therefore
    how many objects are touched for each client: here, its outbox and its socket. `benchmarks/fan_out.py` measures what
    that is worth.
    """
    size = len(data)
    for outbox in outboxes:
        direct = outbox._direct
        if direct is None:
            outbox.put(data)
            continue
        try:
            sent = direct(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            outbox._break(connection_lost(error))
            continue
        if sent < size:
            outbox._drain_rest(data, sent)
