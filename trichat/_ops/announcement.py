"""The lines that `trichat serve` prints once it listens: the addresses, the configuration, and how to connect."""

import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence

import trio

from trichat import hookspecs
from trichat._base.failures import Misbehaved
from trichat._base.text import printable
from trichat._chat.core import Core
from trichat._net.listener import Address
from trichat._plugins.plugin_calls import failure_logged
from trichat._plugins.registry import Implementation

logger = logging.getLogger("trichat")

HOOK = hookspecs.announcements.__name__


class Announcement(trio.TaskStatus[list[Address]]):
    """Prints, as soon as a server listens, its addresses, the lines `about` it, and the lines of its plugins."""

    def __init__(self, core: Core, about: Sequence[str]) -> None:
        self._core = core
        self._about = about

    def started(self, value: list[Address] | None = None) -> None:
        addresses = value or []
        if not addresses:
            return  # the server was stopped before it listened
        where = f"trichat listens on {', '.join(map(str, addresses))}"
        how = [f"connect with: nc {_reachable(address.host)} {address.port}" for address in addresses]
        try:
            print(where, *self._about, *self._of_plugins(), *how, sep="\n", flush=True)
        except OSError as error:
            # The disk is full, or the reader is gone. Neither is a reason not to start.
            logger.warning("%s, but standard output cannot be written to: %s", where, error.strerror)
            # Otherwise Python would try to write the rest of the buffer at exit, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _of_plugins(self) -> Iterator[str]:
        for implementation in self._core.plugins.active.hooks[HOOK]:
            with failure_logged(implementation.plugin, HOOK):
                yield from self._lines(implementation)

    def _lines(self, implementation: Implementation) -> Sequence[str]:
        answer: Iterable[str] | None = implementation.call(self._core.server)
        if isinstance(answer, str):
            raise Misbehaved(f"{answer!r} is a string, not a list of lines")
        return [printable(line) for line in answer or ()]


def _reachable(host: str) -> str:
    """Return an address at which other machines reach a socket that is bound to `host`."""
    family, probe = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    if host not in ("0.0.0.0", "::"):
        return host
    # Connecting a datagram socket sends nothing. The kernel only chooses the address that it would send from.
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((probe, 1))
        except OSError:
            return "localhost"
        return str(sock.getsockname()[0])
