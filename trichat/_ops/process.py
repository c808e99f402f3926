"""`trichat serve`: a server in the foreground of a process, with its signals and its words to whoever started it."""

import logging
import resource
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import trio

from trichat._base.failures import one_for_all
from trichat._chat.core import Core
from trichat._config.options import ServerOptions
from trichat._ops.announcement import Announcement
from trichat._ops.blocking_watchdog import Watchdog
from trichat._ops.control_server import Control
from trichat._ops.forced_exit import ForcedExit
from trichat._ops.plugin_versions import Versions
from trichat._ops.reloader import Reloader
from trichat._server import Server, core_of

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
        trio.run(_serve, server, versions, Announcement(core_of(server), about))
    return not core_of(server).shutdown.failed


async def _serve(server: Server, versions: Versions, announcement: Announcement) -> None:
    core = core_of(server)
    reloader = Reloader(core, versions)
    watchdog = Watchdog(lambda: core.plugins.active.files)
    forced_exit = ForcedExit(server.options.shutdown_timeout)
    with (
        watchdog.watching(),
        forced_exit.within(),
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
        _heeded_at_once(forced_exit),
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, server, reloader, name="signals")
            nursery.start_soon(_arm_at_stop, core, forced_exit, name="forced exit")
            nursery.start_soon(reloader.run, name="reload")
            if server.options.control:
                # Before the server and until after it: one that hangs at its start or its end can still be asked.
                await nursery.start(Control(Path(server.options.control), core, reloader).serve, name="control")
            await server.serve(task_status=announcement)
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], server: Server, reloader: Reloader) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            # Plugins may take their time over it, and a stop must not wait for them.
            reloader.ask()
            continue
        server.stop(f"got {signal.Signals(number).name}")


async def _arm_at_stop(core: Core, forced_exit: ForcedExit) -> None:
    await core.shutdown.requested.wait()
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
