"""A connection in memory: the server's end is a `Transport`, as for a socket; the client's end is a `MemoryLine`."""

import math
from collections.abc import Callable

import trio

from trichat._base.addresses import canonical_address
from trichat._net.transport import RECEIVE_BYTES, Bytes, Transport, connection_lost

# Bytes that a kernel takes for a client that does not read: about as many as Linux takes for a socket.
KERNEL_BUFFER = 65_536


class Pipe:
    """Bytes on their way in one direction, at most `capacity` of them.

    `arrived` is called with everything that is written, and with `b""` at the end.
    """

    def __init__(self, capacity: float = math.inf, arrived: Callable[[bytes], None] = lambda _: None) -> None:
        self.capacity = capacity
        self._arrived = arrived
        self._data = bytearray()
        self._ended = False
        self._broken = False
        self._changed = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._data)

    @property
    def has_room(self) -> bool:
        """Whether `write` would take data, or fail."""
        return self._broken or self._ended or len(self._data) < self.capacity

    @property
    def has_news(self) -> bool:
        """Whether `read` would return at once, or fail."""
        return bool(self._data) or self._ended or self._broken

    def write(self, data: Bytes) -> int:
        """Take as much of `data` as fits, and return the number of bytes. Raises `BrokenPipeError` after the end."""
        if self._broken or self._ended:
            raise BrokenPipeError(32, "Broken pipe")
        taken = data[: max(0, int(min(len(data), self.capacity - len(self._data))))]
        if taken:
            self._data += taken
            self._tell()
            self._arrived(bytes(taken))
        return len(taken)

    async def room(self) -> None:
        """Wait until `write` takes data, or fails."""
        # Exactly one checkpoint if nothing has to be waited for, as with a socket: `cancel_everywhere` tries each.
        if self.has_room:
            await trio.lowlevel.checkpoint()
        while not self.has_room:
            await self._changed.park()

    async def read(self, most: int) -> bytes:
        """Wait for data and return it, at most `most` bytes; `b""` at the end. Raises `ConnectionResetError`."""
        if self.has_news:
            await trio.lowlevel.checkpoint()
        while not self.has_news:
            await self._changed.park()
        return self.read_nowait(most)

    def read_nowait(self, most: int) -> bytes:
        """Return the data that is there, at most `most` bytes. Raises `ConnectionResetError`."""
        if self._broken:
            raise ConnectionResetError(104, "Connection reset by peer")
        data = bytes(self._data[:most])
        del self._data[:most]
        self._tell()
        return data

    def widen(self) -> None:
        """Remove the limit."""
        self.capacity = math.inf
        self._tell()

    def end(self) -> None:
        """End the stream. The reader first gets the data that is on its way."""
        if not self._ended and not self._broken:
            self._ended = True
            self._tell()
            self._arrived(b"")

    def cut(self) -> None:
        """Break the pipe. Data that is on its way is lost."""
        self._broken = True
        self._data.clear()
        self._tell()

    def _tell(self) -> None:
        self._changed.unpark_all()


class MemoryTransport(Transport):
    """The server's end of a connection in memory."""

    def __init__(self, incoming: Pipe, outgoing: Pipe, address: str) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.address = canonical_address(address)
        self.closed = False

    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` when the other side has sent its last."""
        return await self.receive_at_most(RECEIVE_BYTES)

    async def receive_at_most(self, most: int) -> bytes:
        """Wait for data and return it, at most `most` bytes."""
        try:
            return await self.incoming.read(most)
        except OSError as error:
            raise connection_lost(error) from error

    def receive_nowait(self) -> bytes | None:
        """Return what `receive` would return without waiting, otherwise `None`."""
        if not self.incoming.has_news:
            return None
        try:
            return self.incoming.read_nowait(RECEIVE_BYTES)
        except OSError as error:
            raise connection_lost(error) from error

    def send_nowait(self, data: Bytes) -> int:
        """Send what can be sent without waiting, and return the number of bytes."""
        try:
            return self.outgoing.write(data)
        except OSError as error:
            raise connection_lost(error) from error

    async def send_some(self, data: Bytes) -> int:
        """Wait until at least one byte can be sent, send, and return the number of bytes."""
        await self.outgoing.room()
        return self.send_nowait(data)

    async def send_eof(self) -> None:
        """Tell the other side that nothing more will come."""
        await trio.lowlevel.checkpoint()
        self.outgoing.end()

    async def close(self) -> None:
        """Close at once, even under cancellation. Safe to repeat.

        If some input was not read, data on its way to the other side is lost, as in a reset by the kernel.
        """
        if not self.closed:
            self.closed = True
            if len(self.incoming):
                self.outgoing.cut()
            self.outgoing.end()
            self.incoming.cut()


class MemoryLine:
    """A person's end of a connection in memory."""

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        self.incoming = incoming
        self.outgoing = outgoing

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `OSError` if the server has closed the connection."""
        while data:
            await self.outgoing.room()
            data = data[self.outgoing.write(data) :]

    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` at the end. Raises `OSError`."""
        return await self.incoming.read(RECEIVE_BYTES)

    def send_eof(self) -> None:
        """Send nothing more, but keep reading."""
        self.outgoing.end()

    def close(self) -> None:
        """Close the connection in both directions."""
        self.outgoing.end()
        self.incoming.cut()

    def reset(self) -> None:
        """Break the connection. Data that is on its way is lost."""
        self.outgoing.cut()
        self.incoming.cut()

    def stop_reading(self, buffer: int = KERNEL_BUFFER) -> None:
        """Stop reading: from now on, at most `buffer` bytes are taken."""
        self.incoming.capacity = buffer

    def read_on(self) -> None:
        """Read everything again."""
        self.incoming.widen()
