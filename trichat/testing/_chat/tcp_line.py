"""A person's end of a connection over TCP."""

import os
import socket

import trio

from trichat._base.failures import leaves


class SocketLine:
    """A connected socket."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._socket = sock
        self._reads = trio.Event()
        self._reads.set()
        self.closed = False

    @classmethod
    async def connect(cls, host: str, port: int) -> "SocketLine":
        """Connect. Raises `OSError`; if there are several addresses, that of the first."""
        try:
            return cls((await trio.open_tcp_stream(host, port)).socket)
        except OSError as error:
            numbers = [each.errno for each in leaves(error.__cause__ or error) if isinstance(each, OSError)]
            raise OSError(numbers[0], os.strerror(numbers[0])) if numbers and numbers[0] else error from None

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `OSError` if the connection is closed."""
        while data:
            data = data[await self._socket.send(data) :]

    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` at the end. Raises `OSError` if it breaks."""
        await self._reads.wait()
        try:
            return await self._socket.recv(65_536)
        except trio.ClosedResourceError:
            return b""

    def send_eof(self) -> None:
        """Send nothing more, but keep reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection in both directions."""
        self.closed = True
        self._socket.close()

    def reset(self) -> None:
        """Break the connection, like a machine that was switched off and on."""
        if not self.closed:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close()

    def stop_reading(self) -> None:
        """Stop reading. Only as much arrives as the kernel keeps."""
        if self._reads.is_set():
            self._reads = trio.Event()

    def read_on(self) -> None:
        """Read everything again."""
        self._reads.set()
