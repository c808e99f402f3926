"""Listeners: where connections come from. A listener may say which front its connections have."""

import errno
import inspect
import logging
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple, Protocol

import trio

from trichat._base.arguments import require
from trichat._base.errors import StartError
from trichat._fronts.front import Front
from trichat._net.accepting import ACCEPT_BACKLOG, accept_all
from trichat._net.transport import SocketTransport, Transport

logger = logging.getLogger("trichat.listener")

# An address that this machine does not have. A name may stand for several: `localhost` includes ::1 even in a container
# where IPv6 is turned off.
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

# A laptop that was closed never says goodbye. After a minute of silence it is probed, and after another it is gone.
_SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)

# Seconds, at least, after which the kernel ends a connection whose other side acknowledges nothing. They also count
# while the other side is there but reads nothing, so they have to leave the outbox its time.
SILENCE = 120.0


class Address(NamedTuple):
    """Where a listener listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Accept(Protocol):
    """Takes the connections of listeners."""

    def __call__(self, transport: Transport, front: Front | None = None) -> None:
        """Serve a client over `transport`, which speaks `front`: by default the server's own, the line protocol."""


class Listener(Protocol):
    """A source of connections."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Listen, report where, and call `accept` for each connection, until cancelled. Raises `StartError`.

        A listener without a host and a port reports `[]`.
        """


def check_listeners(listeners: Sequence[Listener]) -> None:
    """Raise `TypeError` unless this is a list of listeners."""
    require(listeners, (list, tuple), "listeners must be a list of listeners")
    for each in listeners:
        if inspect.isclass(each):
            raise TypeError(f"a listener must be an object, not the class {each.__qualname__}; call it to make one")
        if not callable(getattr(each, "serve", None)):
            remedy = "; pass what it accepts to Server.serve_stream" if isinstance(each, trio.abc.Listener) else ""
            raise TypeError(f"a listener must have a method `serve`, as trichat.Listener has, not {each!r}{remedy}")


class TcpListener:
    """Plain TCP on every address that `host` stands for; port 0 picks a free one.

    Connections speak `front`, by default the line protocol. `send_timeout` is the server's: the seconds that a client
    may take nothing before its connection is ended. If it is not `required` and cannot listen, it logs why, and the
    server runs without it. Raises `ValueError` for a port that there is not.
    """

    def __init__(
        self,
        host: str,
        port: int,
        front: Front | None = None,
        send_timeout: float = 60.0,
        *,
        required: bool = True,
    ) -> None:
        require(host, str, "a host must be a string")
        if port not in range(65536):
            raise ValueError(f"a port must be a number from 0 to 65535, not {port!r}")
        self.host: str = host
        self.port: int = port
        self.front: Front | None = front
        """What its connections speak; `None` for the line protocol."""
        self._required = required
        self.addresses: Sequence[Address] = ()
        """Where it listens; empty while it does not."""
        milliseconds = int(1000 * max(SILENCE, 2 * send_timeout))
        self._socket_options = (*_SOCKET_OPTIONS, (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds))

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Listen, report where, and call `accept` for each connection, until cancelled. Raises `StartError`."""
        try:
            sockets = await self._open()
        except StartError as error:
            if self._required:
                raise
            logger.warning("%s; running without it", error)
            task_status.started([])
            return
        with ExitStack() as stack:
            listening = [stack.enter_context(sock) for sock in sockets]
            addresses = [Address(*sock.getsockname()[:2]) for sock in listening]
            self.addresses = addresses
            stack.callback(setattr, self, "addresses", ())
            async with trio.open_nursery() as nursery:
                for sock, address in zip(listening, addresses, strict=True):
                    nursery.start_soon(accept_all, sock, partial(self._take, accept), name=f"listener {address}")
                task_status.started(addresses)

    async def _open(self) -> list[socket.socket]:
        place = Address(self.host, self.port)
        try:
            found = await trio.socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (OSError, UnicodeError) as error:
            raise StartError(f"cannot listen on {place}: {getattr(error, 'strerror', error)}") from error
        try:
            return _listen_on_all([(family, str(address[0])) for family, _, _, _, address in found], self.port)
        except OSError as error:
            raise StartError(f"cannot listen on {place}: {error.strerror}{_hint(error)}") from error

    def _take(self, accept: Accept, sock: socket.socket, peer: Sequence[str]) -> None:
        for option in self._socket_options:
            sock.setsockopt(*option)
        accept(SocketTransport(sock, peer[0]), self.front)


def _listen_on_all(addresses: Sequence[tuple[int, str]], port: int) -> list[socket.socket]:
    """Listen on those addresses that this machine has. Raises `OSError` if it has none of them."""
    with ExitStack() as stack:
        listening: list[socket.socket] = []
        for family, host in addresses:
            try:
                sock = stack.enter_context(_listen(family, (host, port)))
            except OSError as error:
                is_last = (family, host) == addresses[-1]
                if error.errno not in _NOT_HERE or (is_last and not listening):
                    raise
                logger.warning("cannot listen on %s: %s", Address(host, port), error.strerror)
                continue
            listening.append(sock)
            # All addresses of a host share the port that the first one got.
            port = sock.getsockname()[1]
        stack.pop_all()
        return listening


def _listen(family: int, address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A restart must not wait until the kernel has forgotten the connections of the previous run.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(ACCEPT_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _hint(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return " (another program has the port; choose another port, or stop it)"
        case errno.EADDRNOTAVAIL:
            return " (it is not an address of this machine)"
        case errno.EACCES:
            return " (ports below 1024 need privileges)"
        case _:
            return ""
