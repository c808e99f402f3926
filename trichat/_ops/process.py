"""`trichat serve`: a server in the foreground of a process, with its signals and its words to whoever started it."""

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import trio

from trichat._base.failures import one_for_all
from trichat._config.options import ServerOptions
from trichat._net.listener import Address
from trichat._ops.blocking_watchdog import Watchdog
from trichat._ops.control_server import Control
from trichat._ops.forced_exit import ForcedExit
from trichat._ops.plugin_versions import Versions
from trichat._ops.reloader import Reloader
from trichat._server import Server

logger = logging.getLogger("trichat")

# Descriptors that the process needs besides one for each client.
SPARE_DESCRIPTORS = 64


def serve(server: Server, versions: Versions, about: Sequence[str]) -> bool:
    """Run `server` until it stops, telling on standard output where it is and, with the lines `about`, what it is.

    SIGINT and SIGTERM stop it gracefully, a second SIGINT ends the process at once, SIGHUP reloads; plugins that have
    another version than in `versions` are replaced then. If a stop does not come to its end, the process does.
    Returns whether it was stopped by somebody, and not by the failure of a plugin. Raises what `Server.serve` raises.
    """
    with one_for_all():
        trio.run(_serve, server, versions, _Announcement(about))
    return not server._failed


async def _serve(server: Server, versions: Versions, announcement: "_Announcement") -> None:
    reloader = Reloader(server, versions)
    watchdog = Watchdog(lambda: server._plugins.roster.files)
    forced_exit = ForcedExit(server.options.shutdown_timeout)
    with (
        watchdog.watching(),
        forced_exit.within(),
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
        _heeded_at_once(forced_exit),
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, server, reloader, name="signals")
            nursery.start_soon(_arm_at_stop, server, forced_exit, name="forced exit")
            nursery.start_soon(reloader.run, name="reload")
            if server.options.control:
                # Before the server and until after it: one that hangs at its start or its end can still be asked.
                await nursery.start(Control(Path(server.options.control), server, reloader).serve, name="control")
            await server.serve(task_status=announcement)
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], server: Server, reloader: Reloader) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            # Plugins may take their time over it, and a stop must not wait for them.
            reloader.ask()
            continue
        server.stop(f"got {signal.Signals(number).name}")


async def _arm_at_stop(server: Server, forced_exit: ForcedExit) -> None:
    await server._stopping.wait()
    forced_exit.arm()


@contextmanager
def _heeded_at_once(forced_exit: ForcedExit) -> Iterator[None]:
    """Do what a signal asks for beside a stop even if a plugin keeps the loop, so that nothing receives it."""

    def handle(number: int, frame: FrameType | None) -> None:
        forced_exit.arm()
        if number == signal.SIGINT:
            # Nothing is lost by ending at the next one: what anyone saw is in the log.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        receiving[number](number, frame)

    # Trio's own, which hands a signal to the loop and puts back what was there before.
    receiving: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in receiving:
        signal.signal(number, handle)
    yield


class _Announcement(trio.TaskStatus[list[Address]]):
    """Tells where the server listens as soon as it does."""

    def __init__(self, about: Sequence[str]) -> None:
        self._about = about

    def started(self, value: list[Address] | None = None) -> None:
        addresses = value or []
        if not addresses:
            return  # it was stopped before
        where = f"trichat listens on {', '.join(map(str, addresses))}"
        how = [f"connect with: nc {_reachable(address.host)} {address.port}" for address in addresses]
        try:
            print(where, *self._about, *how, sep="\n", flush=True)
        except OSError as error:
            # The disk is full, or the reader has gone: that is no reason for a chat not to begin.
            logger.warning("%s, which standard output does not take: %s", where, error.strerror)
            # What is left in its buffer would be tried, and complained of, at the end of Python.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reachable(host: str) -> str:
    """Return an address by which others reach a socket that is bound to `host`."""
    family, probe = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    if host not in ("0.0.0.0", "::"):
        return host
    # Connecting a datagram socket sends nothing; it only lets the kernel choose the address that it would send from.
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((probe, 1))
        except OSError:
            return "localhost"
        return str(sock.getsockname()[0])


def as_many_as_descriptors(options: ServerOptions) -> ServerOptions:
    """Raise the limit of open files to what `max_clients` takes; where that may not be, lower `max_clients`."""
    needed = options.max_clients + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return options
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return options
    # With all of them taken nothing could be opened any more: no log that was rotated, no control socket.
    clients = max(1, allowed - SPARE_DESCRIPTORS)
    logger.warning(
        "max_clients is %d, but this process may open only %d files: it lets in %d clients, and keeps %d for the rest",
        *(options.max_clients, allowed, clients, allowed - clients),
    )
    return msgspec.structs.replace(options, max_clients=clients)
