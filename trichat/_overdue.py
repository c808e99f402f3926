"""Names the calls of plugins that go on although their deadline has passed: because of a shield, or of a swallowed
cancellation. Nobody can end them; whoever runs the server can at least know.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio
from trio.lowlevel import Task, current_task

from trichat._tasks import waiting_at

logger = logging.getLogger("trichat.plugins")

# Seconds that a call has for its cleanup after its deadline.
CLEANUP = 1.0


class _Call(NamedTuple):
    plugin: str
    hook: str
    task: Task


class Overdue:
    """The calls under way that have a deadline. To begin and to end one costs next to nothing."""

    def __init__(self) -> None:
        self._calls: dict[trio.CancelScope, _Call] = {}
        self._begun = trio.Event()

    def begin(self, scope: trio.CancelScope, plugin: str, hook: str) -> None:
        """Note a call that the scope is around."""
        self._calls[scope] = _Call(plugin, hook, current_task())
        if not self._begun.is_set():
            self._begun.set()

    def end(self, scope: trio.CancelScope) -> None:
        """Forget a call, which may have been named."""
        self._calls.pop(scope, None)

    async def watch(self) -> None:
        """Name each call once that is overdue, until cancelled."""
        while True:
            await self._begun.wait()  # for as long as nobody calls a plugin
            while self._calls:
                # Not before each deadline, but at least once in the time that a call may take.
                await trio.sleep_until(min(scope.deadline for scope in self._calls) + CLEANUP)
                self._name_overdue()
            self._begun = trio.Event()

    def _name_overdue(self) -> None:
        late = trio.current_time() - CLEANUP
        for scope in [scope for scope in self._calls if scope.deadline <= late]:
            plugin, hook, task = self._calls.pop(scope)
            logger.error(
                "plugin %r in %s goes on although it was cancelled more than %g s ago, at %s",
                plugin,
                hook,
                CLEANUP,
                waiting_at(task) or "an unknown place",
            )


@asynccontextmanager
async def watching(overdue: Overdue) -> AsyncIterator[None]:
    """Name what is overdue around the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(overdue.watch, name="deadlines")
        yield
        nursery.cancel_scope.cancel()
