"""A listener on a Unix socket, for clients on the same machine."""

import os
import socket
import struct
from functools import partial
from pathlib import Path

import trio

from trichat._fronts.front import Front
from trichat._net.accepting import ACCEPT_BACKLOG, accept_all
from trichat._net.listener import Accept, Address
from trichat._net.transport import SocketTransport
from trichat._net.unix_socket import PRIVATE, unix_socket

# The kernel's `struct ucred`: the numbers of a process, its user and its group.
_CREDENTIALS = struct.Struct("iII")


class UnixListener:
    """A Unix socket: a stream socket in the file system, at `path`, for clients on the same machine.

    `mode` is that of the file, whatever the umask is: who may write to it may connect. By default that is the user who
    runs the server; 0o660 adds the group of the file, 0o666 everyone. A socket that a crashed server left is replaced,
    and the socket is removed at the end. Connections speak `front`, by default the line protocol.

    The address of a client is `unix:` with the number of the user that has connected, such as `unix:1000`. It is in no
    network, so it is neither loopback nor an operator's. `max_clients_per_address` counts each user's connections.

    Raises `ValueError` for a mode that no file has. `serve` raises `StartError` if another server uses the path, or if
    the socket cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str], front: Front | None = None, *, mode: int = PRIVATE) -> None:
        if mode not in range(0o1000):
            raise ValueError(f"{mode!r} is not the mode of a file; write it in octal, such as 0o660")
        self._path = Path(path)
        self.front: Front | None = front
        """What its connections speak; `None` for the line protocol."""
        self._mode = mode

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Listen, and call `accept` for each connection, until cancelled. Reports `[]`. Raises `StartError`."""
        with unix_socket(self._path, ACCEPT_BACKLOG, self._mode) as listening:
            trio.lowlevel.current_task().name = f"listener {self._path}"
            task_status.started([])
            await accept_all(listening, partial(self._take, accept))

    def _take(self, accept: Accept, sock: socket.socket, _: object) -> None:
        _, user, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        accept(SocketTransport(sock, f"unix:{user}"), self.front)
