"""`trichat serve`: runs a server in the foreground, handles signals, and tells the user where it listens."""

import gc
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

# File descriptors that the process needs in addition to one for each client.
SPARE_DESCRIPTORS = 64

# Python looks for cycles among new objects when there are so many more of them than were deleted; by default 700. A
# pass of the loop that serves hundreds of clients has more. What lives for a pass would then count as lasting, and what
# lasts makes the collector walk through the whole server again and again.
YOUNG_OBJECTS = 50_000


def serve(server: Server, versions: Versions, about: Sequence[str]) -> bool:
    """Run `server` until it stops. Print where it listens, and the lines `about` it.

    SIGINT and SIGTERM stop it gracefully; a second SIGINT ends the process at once. SIGHUP reloads, which replaces
    plugins that have a newer version than in `versions`. If a stop does not finish, the process ends itself. Returns
    whether the server was stopped on purpose rather than by a failing plugin. Raises what `Server.serve` raises.
    """
    gc.set_threshold(YOUNG_OBJECTS)
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
        _handled_at_once(forced_exit),
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_handle_signals, signals, server, reloader, name="signals")
            nursery.start_soon(_arm_at_stop, core, forced_exit, name="forced exit")
            if server.options.control:
                # It starts before the server and ends after it, so it answers even if the server hangs while it starts
                # or stops.
                await nursery.start(Control(Path(server.options.control), core, reloader).serve, name="control")
            # Requests that came before wait until the server has begun.
            nursery.start_soon(reloader.run, name="reload")
            await server.serve(task_status=announcement)
            nursery.cancel_scope.cancel()


async def _handle_signals(signals: AsyncIterator[int], server: Server, reloader: Reloader) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            # Not awaited: plugins may take long, and a stop must not wait for them.
            reloader.ask()
            continue
        server.stop(f"got {signal.Signals(number).name}")


async def _arm_at_stop(core: Core, forced_exit: ForcedExit) -> None:
    await core.shutdown.requested.wait()
    forced_exit.arm()


@contextmanager
def _handled_at_once(forced_exit: ForcedExit) -> Iterator[None]:
    """Arm the forced exit at a signal, and let a second SIGINT end the process, even if a plugin blocks the loop."""

    def handle(number: int, frame: FrameType | None) -> None:
        forced_exit.arm()
        if number == signal.SIGINT:
            # The next SIGINT ends the process. That loses nothing that anyone saw: all of it is in the chat log.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        receiving[number](number, frame)

    # Trio's handlers, which pass a signal to the loop. Trio restores the previous handlers itself.
    receiving: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in receiving:
        signal.signal(number, handle)
    yield


def as_many_as_descriptors(options: ServerOptions) -> ServerOptions:
    """Raise the limit of open files as `max_clients` requires; if that is not allowed, lower `max_clients`."""
    needed = options.max_clients + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return options
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return options
    # If clients used all descriptors, nothing else could be opened: neither a rotated log nor the control socket.
    clients = max(1, allowed - SPARE_DESCRIPTORS)
    logger.warning(
        "max_clients is %d, but this process may open only %d files: it admits %d clients, and keeps %d for the rest",
        *(options.max_clients, allowed, clients, allowed - clients),
    )
    return msgspec.structs.replace(options, max_clients=clients)
