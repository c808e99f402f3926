"""The server as the test kit runs it: each part that can be cancelled alone has a cancel scope of its own."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio
from msgspec.structs import replace

from trichat._base.errors import StartError
from trichat._base.failures import Misbehaved
from trichat._chat.client import Client
from trichat._chat.core import Core
from trichat._chat.session import Session
from trichat._fronts.front import Front
from trichat._net.listener import Address, Listener
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.commands import Command
from trichat._plugins.dispatch import Plugins
from trichat._plugins.registry import ASKING, Implementation
from trichat._server import Server
from trichat.testing._probing.cancel_targets import CANCELLED
from trichat.testing._probing.checkpoint_probe import part_of
from trichat.testing._probing.wall_clock import wall_clock


class ProbedActiveHooks(ActiveHooks):
    """Makes each awaited call of a hook a part."""

    def resolved(self) -> Mapping[str, Sequence[Implementation]]:
        """Return the implementations that each hook calls now."""
        return {hook: [_probed(hook, each) for each in found] for hook, found in super().resolved().items()}


class ProbedPlugins(Plugins):
    """Makes each awaited call of a hook or a command a part, and each lifespan."""

    active_hooks_class = ProbedActiveHooks

    def call_contributing(self, hook: str, implementation: Implementation, arguments: Sequence[Any]) -> Any:
        """Return what one plugin contributes."""
        contribution = super().call_contributing(hook, implementation, arguments)
        return _probed_lifespan(implementation.plugin, contribution) if hook == "lifespan" else contribution

    def call_command(self, plugin: str, command: Command, client: Client, arguments: str, room: str) -> Any:
        """Return what a command answers."""
        answer = super().call_command(plugin, command, client, arguments, room)
        return _probed_call(f"/{command.name}", plugin, answer) if inspect.isawaitable(answer) else answer


def _probed(hook: str, implementation: Implementation) -> Implementation:
    def call(*arguments: Any) -> Any:
        answer = implementation.call(*arguments)
        return _probed_call(hook, implementation.plugin, answer) if inspect.isawaitable(answer) else answer

    return replace(implementation, call=call)


async def _probed_call(hook: str, plugin: str, answer: Awaitable[Any]) -> Any:
    with part_of("hook", f"{plugin}.{hook}") as part:
        result = await part.watching(answer)
        # As after a deadline: a late answer to a question is discarded, and a call that only tells something is done.
        if not part.was_cancelled or hook not in ASKING:
            return result
    raise Misbehaved(CANCELLED)


@asynccontextmanager
async def _probed_lifespan(name: str, lifespan: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    with part_of("lifespan", name) as part:
        async with part.watching_block(lifespan):
            yield


class ProbedCore(Core):
    """Makes each session a part, and lets the wall clock follow virtual time.

    Everyone connects in memory, so listeners of plugins stay closed. Their fronts can be used all the same.
    """

    plugins_class = ProbedPlugins
    clock = staticmethod(wall_clock)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.fronts: dict[str, Front] = {}
        """The fronts that listeners of plugins carry, by name."""

    async def run_session(self, session: Session) -> None:
        """Run a session to its end."""
        with part_of("client", "") as part:
            await part.watching(super().run_session(session))

    async def run_listener(self, listener: Listener, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Report that a listener of a plugin is open. No socket is opened: it would not follow virtual time."""
        await trio.lowlevel.checkpoint()
        front: Front | None = getattr(listener, "front", None)
        if front is not None:
            self.fronts[front.name] = front
        task_status.started([])


class ProbedServer(Server):
    """Makes the whole server a part."""

    _core_class = ProbedCore
    _core: ProbedCore

    @property
    def fronts(self) -> Mapping[str, Front]:
        """The fronts that listeners of plugins carry, by name."""
        return self._core.fronts

    async def serve(self, *, task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the server until `stop` is called."""
        started = _Started(task_status)
        with part_of("server", "") as part:
            await part.watching(super().serve(task_status=started))  # type: ignore[arg-type]
        if part.was_cancelled and not started.called:
            raise StartError("the test cancelled the start")


class _Started:
    """Reports that the server has started, and remembers it."""

    def __init__(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        self._task_status = task_status
        self.called = False

    def started(self, value: list[Address]) -> None:
        self.called = True
        self._task_status.started(value)
