"""Accepts the connections of a listening socket, and keeps accepting when one of them fails."""

import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

import trio

logger = logging.getLogger("trichat.listener")

# Thousands may connect at once after a restart. The kernel caps this at net.core.somaxconn.
ACCEPT_BACKLOG = 4096

# Connections accepted in one go before other tasks get their turn.
ACCEPT_BURST = 100

# Seconds to wait when the process or machine has run out of descriptors or memory: somebody has to leave first.
EXHAUSTED_PAUSE = 0.1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


Take = Callable[[socket.socket, Any], None]
"""Takes a connection and the address of its other side, as the system gives it. If it raises `OSError`, the connection
is closed."""


async def accept_all(listening: socket.socket, take: Take) -> None:
    """Call `take` for each connection that `listening` accepts, until cancelled. All these sockets are non-blocking."""
    exhausted = False
    while True:
        await trio.lowlevel.wait_readable(listening)
        try:
            for _ in range(ACCEPT_BURST):
                sock, peer = listening.accept()
                exhausted = False
                _hand_over(sock, peer, take)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in _EXHAUSTED:
                if not exhausted:
                    logger.error("cannot accept connections for now: %s", error.strerror)
                exhausted = True
                await trio.sleep(EXHAUSTED_PAUSE)
            # Any other error is about the connection that was being accepted, not about the listener.


def _hand_over(sock: socket.socket, peer: object, take: Take) -> None:
    try:
        sock.setblocking(False)
        take(sock, peer)
    except OSError:
        sock.close()  # it was reset before it was accepted
