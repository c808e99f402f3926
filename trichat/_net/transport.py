"""The connection to one client: a socket, or any Trio stream. The errors of both become `ConnectionLost` here."""

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import trio
from trio.lowlevel import wait_readable, wait_writable  # looking them up in the package for each line is slow

from trichat._base.addresses import canonical_address
from trichat._base.arguments import require
from trichat._base.errors import ConnectionLost

Bytes = bytes | memoryview

# Enough for many lines in one go, and little enough that the decoded lines take 190 KiB at worst. In a flooded small
# room, a delivery costs a sixth less than with half of this. Twice as much would save another fifteenth, but a flooding
# client would hold the others up for twice as long.
RECEIVE_BYTES = 8192

# A stream does not say how much it has sent before it has sent everything. It is handed no more than a TLS record
# holds, so that a client that takes a little now and then is not mistaken for one that takes nothing.
SEND_BYTES = 16_384


class Transport(ABC):
    """What a session needs of a connection. When it breaks, its methods raise `ConnectionLost` and nothing else."""

    __slots__ = ("address",)

    address: str
    """The other side's IP address, or another text if it has none, such as `unix:1000`."""
    direct: Callable[[Bytes], int] | None = None
    """Does what `send_nowait` does, for a fan-out: the socket's own function, which raises `OSError`. May be `None`."""

    @abstractmethod
    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` when the other side will send no more."""

    def receive_nowait(self) -> bytes | None:
        """Return what `receive` would return at once; `None` if it would wait, or if that cannot be known."""
        return None

    @abstractmethod
    def send_nowait(self, data: Bytes) -> int:
        """Send without waiting, and return how many bytes were taken; 0 where that is not possible."""

    @abstractmethod
    async def send_some(self, data: Bytes) -> int:
        """Wait until at least one byte is sent, and return how many were."""

    @abstractmethod
    async def send_eof(self) -> None:
        """Tell the other side that nothing more will come."""

    @abstractmethod
    async def close(self) -> None:
        """Close at once, even under cancellation. Safe to repeat."""


class SocketTransport(Transport):
    """A connected, non-blocking socket without a layer in between: a fan-out sends straight from its own task."""

    __slots__ = ("_socket", "direct")

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._socket = sock
        self.direct = sock.send
        self.address = canonical_address(address)

    async def receive(self) -> bytes:
        # This runs for each line; the context manager would cost as much as everything else in it.
        try:
            while True:
                # Waiting first saves a failing call for nearly every line: a person's next line is seldom there yet.
                await wait_readable(self._socket)
                try:
                    return self._socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
        except _LOST as error:
            raise connection_lost(error) from error

    def receive_nowait(self) -> bytes | None:
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise connection_lost(error) from error

    def send_nowait(self, data: Bytes) -> int:
        with _translated(), contextlib.suppress(BlockingIOError):
            return self._socket.send(data)
        return 0

    async def send_some(self, data: Bytes) -> int:
        with _translated():
            while True:
                await wait_writable(self._socket)
                with contextlib.suppress(BlockingIOError):
                    return self._socket.send(data)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        with _translated():
            self._socket.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class StreamTransport(Transport):
    """Any Trio stream: TLS, a pair in memory. Everything is sent by the task that waits for it."""

    def __init__(self, stream: trio.abc.Stream, address: str) -> None:
        require(stream, trio.abc.Stream, "a client must be served over a stream of Trio")
        require(address, str, "the address of a client must be a string", "'192.0.2.1' is one")
        self._stream = stream
        self._broken = False
        """Whether a send was cut off: nobody knows how much the other side has, so nothing may follow."""
        self.address = canonical_address(address)

    async def receive(self) -> bytes:
        with _translated():
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))

    def send_nowait(self, data: Bytes) -> int:  # noqa: ARG002
        return 0

    async def send_some(self, data: Bytes) -> int:
        if self._broken:
            raise ConnectionLost("an earlier send was cut off")
        # A task that is cancelled already sends nothing.
        await trio.lowlevel.checkpoint_if_cancelled()
        self._broken = True
        with _translated():
            await self._stream.send_all(data[:SEND_BYTES])
        self._broken = False
        return min(len(data), SEND_BYTES)

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            with _translated():
                await self._stream.send_eof()

    async def close(self) -> None:
        await trio.aclose_forcefully(self._stream)


# How a socket or a Trio stream says that it is of no more use.
_LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise connection_lost(error) from error


def connection_lost(error: Exception) -> ConnectionLost:
    """Return what an error of the system or of a stream means for a connection."""
    if isinstance(error, OSError):
        return ConnectionLost(f"connection lost: {error.strerror or error}")
    return ConnectionLost("connection lost")
