"""The background tasks of plugins. A task belongs to the lifespan of its plugin, wherever it is started."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import trio


class BackgroundTasks:
    """The background tasks of one plugin. They end before its lifespan is left, because they may use what it holds."""

    def __init__(self, plugin: str, nursery: trio.Nursery) -> None:
        self._plugin = plugin
        self._nursery = nursery
        self._scopes: set[trio.CancelScope] = set()
        self._ending = False
        self._ended = trio.Event()

    def become_current(self) -> None:
        """Make `current` return this object, in the current task and in those that it starts."""
        _BACKGROUND.set(self)

    @staticmethod
    def current() -> "BackgroundTasks":
        """Return those of the plugin in whose lifespan this is called. Raises `RuntimeError` elsewhere."""
        background = _BACKGROUND.get(None)
        if background is None:
            raise RuntimeError(
                "start_soon() must be called from a plugin's lifespan or from a task started by it; this task belongs "
                "to no plugin. Move the call into lifespan(), or open your own nursery."
            )
        return background

    @property
    def has_ended(self) -> bool:
        """Whether no task can be started any more: the plugin has crashed, or its lifespan is being left."""
        return self._ending or self._nursery.cancel_scope.cancel_called

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object, name: str | None) -> None:
        """Start a task. Raises `RuntimeError` if the lifespan is being left already."""
        if self._ending:
            raise RuntimeError(f"plugin {self._plugin!r} is ending; it can no longer start tasks")
        title = name or getattr(function, "__qualname__", repr(function))
        run = self._new_task(partial(function, *args))
        self._nursery.start_soon(run, name=f"plugin {self._plugin}: {title}")

    async def start(self, function: Callable[..., Awaitable[object]], *args: object, name: str) -> Any:
        """Start a task, wait until it reports that it has started, and return what it reports.

        Raises what the task raises before that. What it raises later, its plugin has crashed of.
        """
        run = self._new_task(partial(function, *args))
        return await self._nursery.start(run, name=f"plugin {self._plugin}: {name}")

    def _new_task(self, function: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[None]]:
        scope = trio.CancelScope()
        self._scopes.add(scope)
        return partial(self._run, scope, function)

    async def _run(
        self, scope: trio.CancelScope, function: Callable[..., Awaitable[object]], **reporting: object
    ) -> None:
        try:
            with scope:
                await function(**reporting)
        finally:
            self._scopes.discard(scope)
            if self._ending and not self._scopes:
                self._ended.set()

    async def end(self) -> None:
        """Cancel the tasks, and wait until they have ended. The wait counts towards the time that the plugin has."""
        self._ending = True
        for scope in self._scopes:
            scope.cancel("the plugin is ending")
        if self._scopes:
            await self._ended.wait()


_BACKGROUND: ContextVar[BackgroundTasks] = ContextVar("trichat.lifespan")


def start_soon(function: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
    """Start a background task of the plugin in whose lifespan this is called. Raises `RuntimeError` elsewhere."""
    BackgroundTasks.current().start_soon(function, *args, name=name)
