"""Replaces a running plugin with a new version, while everybody stays connected.

The new version is checked first. Then new calls wait, those under way finish, the lifespan of the old version is left,
and that of the new one entered. The listeners of a version close and open with its lifespan. If the new version cannot
start, the old one is entered again and keeps running.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import trio

from trichat import hookspecs
from trichat._base.errors import PluginError, StartError, TrichatError
from trichat._base.task_tree import system_tasks, waiting_at
from trichat._config.plugin_policy import CLEANUP, Policy
from trichat._net.listener import Listener
from trichat._plugins.command_calls import commands_of
from trichat._plugins.commands import Command, command_table
from trichat._plugins.dispatch import Plugins
from trichat._plugins.lifespans import Lifespans
from trichat._plugins.plugin_listeners import PluginListeners, checked_listeners
from trichat._plugins.registry import Registered, Registry, source_of

if TYPE_CHECKING:
    from trichat._server import Server

logger = logging.getLogger("trichat.plugins")


class Replacement:
    """A plugin of `server` that is to replace the one of this name. Raises `PluginError` if it cannot.

    `commands` are the present ones. `listeners` opens those of a version.
    """

    def __init__(
        self,
        name: str,
        plugin: object,
        policy: Policy | None,
        server: "Server",
        plugins: Plugins,
        listeners: PluginListeners,
        commands: Mapping[str, Command],
    ) -> None:
        self._server = server
        self._plugins = plugins
        self._listeners = listeners
        self._registry = plugins.with_another(name, plugin, policy)
        self._old, self._new = plugins.active.registry[name], self._registry[name]
        others = [(command.plugin, [command]) for command in commands.values() if command.plugin != name]
        self.commands = command_table([*others, (name, commands_of(self._new, self._registry, plugins))])
        """The commands that there are with the new version."""

    async def take_place(self, lifespans: Lifespans) -> None:
        """Replace it. Raises `PluginError` or `StartError` if it cannot: the old one keeps running, or has crashed."""
        name = self._old.name
        with self._plugins.gates.holding(name):
            await self._drain()
            had_crashed = name in self._plugins.active.crashed
            try:
                await self._leave(lifespans)
                failure = await self._enter_new(lifespans)
                if failure is not None and not had_crashed:
                    await self._enter_old(lifespans, failure)
            except BaseException:
                # Whatever it was, even a cancellation: no lifespan is entered now, unless the old one cannot be left.
                logger.error("plugin %r: %s", name, self._plugins.active.mark_crashed(name))
                raise
            if failure is not None:
                raise failure
            self._plugins.active.install(self._registry, name)
        logger.info("plugin %r: replaced by its new version", name)

    async def _drain(self) -> None:
        """Wait for the calls under way. Each has a deadline; only a call that ignores it takes longer."""
        with trio.move_on_after(self._old.timeout + CLEANUP) as scope:
            # A command may wait until what it says was sent, and then its own plugin must be told of the batch.
            await self._plugins.deadlines.none_of(self._old, except_in=hookspecs.on_broadcast.__name__)
            self._plugins.gates.hold_batches(self._old.name)
            await self._plugins.deadlines.none_of(self._old)
        if scope.cancelled_caught:
            raise PluginError(f"plugin {self._old.name!r} cannot be replaced: one of its calls does not end")

    async def _leave(self, lifespans: Lifespans) -> None:
        name = self._old.name
        if not await lifespans.leave(name, self._old.timeout):
            raise PluginError(f"plugin {name!r} cannot be replaced: its lifespan does not end")
        file = source_of(self._old.plugin)
        for task in system_tasks():
            if getattr(getattr(task.coro, "cr_code", None), "co_filename", "") == file:
                # Its nursery and all tasks in it are gone. This one was started elsewhere, and nobody can end it.
                logger.error("plugin %r has left a task behind: %s, at %s", name, task.name, waiting_at(task))

    async def _enter_new(self, lifespans: Lifespans) -> TrichatError | None:
        """Enter the lifespan of the new version; return why it cannot start, if so."""
        try:
            await self._enter(self._new, self._registry, lifespans)
        except (PluginError, StartError) as failure:
            return failure
        return None

    async def _enter_old(self, lifespans: Lifespans, failure: TrichatError) -> None:
        try:
            await self._enter(self._old, self._plugins.active.registry, lifespans)
        except (PluginError, StartError) as error:
            raise PluginError(f"{failure}; and the previous version cannot start again: {error}") from error

    async def _enter(self, registered: Registered, registry: Registry, lifespans: Lifespans) -> None:
        lifespan = self._plugins.contribution_of(registered, registry, hookspecs.lifespan, self._server)
        if hookspecs.listeners.__name__ in registry.hooks_of(registered.name):
            contribute = partial(self._contributed_listeners, registered, registry)
            lifespan = self._listeners.within(lifespan or nullcontext(), registered.name, contribute)
        if lifespan is not None:
            await lifespans.enter(registered.name, lifespan, registered.timeout)

    def _contributed_listeners(self, registered: Registered, registry: Registry) -> Sequence[Listener]:
        found = self._plugins.contribution_of(registered, registry, hookspecs.listeners, self._server)
        return checked_listeners(registered.name, registered.policy, found)
