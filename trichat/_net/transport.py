"""The way to one client: a socket, or any stream of Trio. The edge where the errors of both become `ConnectionLost`."""

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import trio
from trio.lowlevel import wait_readable, wait_writable  # and not looked up in the package for each line: that is slow

from trichat._base.addresses import canonical_address
from trichat._base.errors import ConnectionLost

Bytes = bytes | memoryview

# Many lines in one go, and so few that what they are decoded to is not much for one client: 190 KiB at worst. In a
# flooded small room a delivery takes a sixth less than with half of that, and with twice as much a fifteenth less; but
# who sends a flood would hold the others up for twice as long.
RECEIVE_BYTES = 8192

# A stream says nothing of how much it has sent before it has sent all. So it is handed no more than a TLS record holds:
# whoever takes a little now and then is not taken for somebody who takes nothing.
SEND_BYTES = 16_384


class Transport(ABC):
    """What a session needs of a connection. Its methods raise `ConnectionLost`, and nothing else, when it breaks."""

    __slots__ = ("address",)

    address: str
    """The other side's IP address."""
    direct: Callable[[Bytes], int] | None = None
    """What `send_nowait` does, for a fan-out: the socket's own function, which raises `OSError`. `None` without one."""

    @abstractmethod
    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` when the other side says no more."""

    def receive_nowait(self) -> bytes | None:
        """Return what `receive` would if it is there already; otherwise, and where that cannot be known, `None`."""
        return None

    @abstractmethod
    def send_nowait(self, data: Bytes) -> int:
        """Send what goes without waiting, and return how many bytes did; 0 where there is no such way."""

    @abstractmethod
    async def send_some(self, data: Bytes) -> int:
        """Wait until at least one byte could be sent, and return how many were."""

    @abstractmethod
    async def send_eof(self) -> None:
        """Say that nothing more will come."""

    @abstractmethod
    async def close(self) -> None:
        """Close at once, even under cancellation. Safe to repeat."""


class SocketTransport(Transport):
    """A connected, non-blocking socket, used without a layer in between: a fan-out sends straight from its own task."""

    __slots__ = ("_socket", "direct")

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._socket = sock
        self.direct = sock.send
        self.address = canonical_address(address)

    async def receive(self) -> bytes:
        # This is done for each line: the context manager would take as long as all else in it.
        try:
            while True:
                # Waiting first saves a failing call for nearly every line: a person's next one is seldom there yet.
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
    """Any stream of Trio: TLS, a pair in memory. Everything is sent by the task that waits for it."""

    def __init__(self, stream: trio.abc.Stream, address: str) -> None:
        self._stream = stream
        self._broken = False
        """A send was cut off, so that what the other side has of it is unknown: nothing may follow it."""
        self.address = canonical_address(address)

    async def receive(self) -> bytes:
        with _translated():
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))

    def send_nowait(self, data: Bytes) -> int:  # noqa: ARG002
        return 0

    async def send_some(self, data: Bytes) -> int:
        if self._broken:
            raise ConnectionLost("an earlier send was cut off")
        # A task that is cancelled already has not begun to send.
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


# How a socket, or a stream of Trio, says that it is of no more use.
_LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise connection_lost(error) from error


def connection_lost(error: Exception) -> ConnectionLost:
    """What an error of the system, or of a stream, means for a connection."""
    if isinstance(error, OSError):
        return ConnectionLost(f"connection lost: {error.strerror or error}")
    return ConnectionLost("connection lost")
