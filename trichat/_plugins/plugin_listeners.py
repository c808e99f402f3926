"""The listeners that plugins contribute. Each is a background task of its plugin, and ends with it or with the server.

So a listener that fails takes down its own plugin and nothing else, and a new version of a plugin can have the port of
the previous one.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import NoneType
from typing import Protocol

import trio

from trichat._base.arguments import require
from trichat._base.errors import PluginError
from trichat._base.failures import described, exceptions_only
from trichat._config.plugin_policy import CLEANUP, Policy
from trichat._net.listener import Address, Listener, check_listeners
from trichat._plugins.background_tasks import BackgroundTasks

logger = logging.getLogger("trichat.plugins")


def checked_listeners(plugin: str, policy: Policy, contribution: Iterable[Listener] | None) -> Sequence[Listener]:
    """Return the listeners that a plugin contributes and may have. Raises `PluginError` if they are none."""
    try:
        require(contribution, (Iterable, NoneType), "the hook listeners must return a list of listeners")
        with exceptions_only(lambda _: None):
            listeners = list(contribution or ())  # a generator runs only now
        check_listeners(listeners)
    except TypeError as error:
        raise PluginError(f"plugin {plugin!r}: {error}") from error
    except Exception as error:
        raise PluginError(f"plugin {plugin!r} failed in listeners: {described(error)}") from error
    # A plugin in shadow lets nobody in, as it has no commands: people who connect would expect an effect.
    return [] if policy.shadow else listeners


class _Run(Protocol):
    async def __call__(self, listener: Listener, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Run a listener until cancelled, and let it report where it listens."""


class PluginListeners:
    """Opens and closes the listeners of plugins. `run` runs one of them."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._open: dict[trio.CancelScope, str] = {}
        """The plugins of the listeners that are open, by what ends each."""
        self._closing = False
        self._all_closed = trio.Event()

    @asynccontextmanager
    async def within(
        self,
        lifespan: AbstractAsyncContextManager[None],
        plugin: str,
        contribute: Callable[[], Sequence[Listener]],
    ) -> AsyncIterator[None]:
        """Hold a lifespan, with the listeners that the plugin contributes once it has been entered."""
        async with lifespan:
            await self.open(plugin, contribute(), BackgroundTasks.current())
            yield

    async def open(self, plugin: str, listeners: Sequence[Listener], background: BackgroundTasks) -> None:
        """Open listeners as background tasks of their plugin. Raises what one of them raises before it is open."""
        for listener in listeners:
            if self._closing:
                return  # nobody needs it any more
            try:
                addresses = await background.start(self._serve, plugin, listener, name="listener")
            except Exception:
                if self._closing:
                    return  # it was closed before it was open
                raise
            require(addresses, list, f"{described(listener)} must report a list of addresses")
            for address in addresses:
                logger.info("plugin %r listens on %s", plugin, address)

    async def _serve(self, plugin: str, listener: Listener, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        with trio.CancelScope() as scope:
            self._open[scope] = plugin
            try:
                await self._run(listener, task_status=task_status)
            finally:
                del self._open[scope]
                if self._closing and not self._open:
                    self._all_closed.set()

    async def close(self) -> None:
        """Close them all, and open no more. Returns when they are closed, even if this is cancelled."""
        self._closing = True
        for scope in self._open:
            scope.cancel("the server is stopping")
        if self._open:
            with trio.move_on_after(CLEANUP, shield=True):
                await self._all_closed.wait()
        for plugin in self._open.values():
            logger.error("plugin %r: one of its listeners does not end although it was cancelled", plugin)
