"""The background tasks of plugins. A task belongs to the lifespan of its plugin, wherever it is started."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

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
        """Make `start_soon` use this object, in the current task and in those that it starts."""
        _BACKGROUND.set(self)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object, name: str | None) -> None:
        """Start a task. Raises `RuntimeError` if the lifespan is being left already."""
        if self._ending:
            raise RuntimeError(f"plugin {self._plugin!r} is ending; it can no longer start tasks")
        scope = trio.CancelScope()
        self._scopes.add(scope)
        title = name or getattr(function, "__qualname__", repr(function))
        self._nursery.start_soon(self._run, scope, function, args, name=f"plugin {self._plugin}: {title}")

    async def _run(
        self, scope: trio.CancelScope, function: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        try:
            with scope:
                await function(*args)
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
    background = _BACKGROUND.get(None)
    if background is None:
        raise RuntimeError(
            "start_soon() must be called from a plugin's lifespan or from a task started by it; this task belongs to "
            "no plugin. Move the call into lifespan(), or open your own nursery."
        )
    background.start_soon(function, *args, name=name)
