"""The server, as plugins and embedding programs see it. What it is made of is in `trichat._chat.core`."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import trio

from trichat import hookspecs
from trichat._base.failures import one_for_all
from trichat._base.messages import LOBBY, Message
from trichat._chat.client import Client
from trichat._chat.core import Core
from trichat._config.options import Config, ServerOptions
from trichat._config.plugin_policy import Policy
from trichat._net.listener import Address, Listener
from trichat._plugins.background_tasks import start_soon
from trichat._plugins.commands import Command, Who, everyone
from trichat._plugins.shadow import is_withheld
from trichat._plugins.storage import Storage

logger = logging.getLogger("trichat")


class Server:
    """A chat server.

    `plugins` by name, in the order of their registration; without them, those that `config` asks for.
    `listeners` are where connections come from; without them, TCP as `config` says.
    Raises `ConfigError` or `PluginError`.
    """

    _core_class: ClassVar[type[Core]] = Core

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Mapping[str, object] | None = None,
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        self._core = self._core_class(self, Config() if config is None else config, plugins, listeners)

    @property
    def options(self) -> ServerOptions:
        """The table `[server]` of its configuration."""
        return self._core.options

    @property
    def plugin_names(self) -> Sequence[str]:
        """The plugins, in the order of their registration."""
        return [each.name for each in self._core.plugins.roster.registry]

    @property
    def commands(self) -> Mapping[str, Command]:
        """The slash commands by name; empty before the start."""
        return self._core.commands

    @property
    def clients(self) -> Sequence[Client]:
        """The clients that are connected, in the order of arrival, also those without a name yet."""
        return [connection.client for connection in self._core.hub.clients()]

    @property
    def rooms(self) -> Sequence[str]:
        """The rooms that somebody is in."""
        return self._core.hub.rooms()

    def members(self, room: str = LOBBY) -> Sequence[Client]:
        """Return the clients in a room, in the order of joining."""
        return [connection.client for connection in self._core.hub.members(room)]

    async def say(self, room: str, text: str) -> None:
        """Tell a room something as the server: `* text`, in the one order and in the log.

        Waits while the server is busy. In `on_broadcast`, where waiting would never end, it raises `RuntimeError`
        instead of waiting. After the last client is gone it does nothing.
        """
        if is_withheld("said in %s: %s", room, text):
            await trio.lowlevel.checkpoint()
            return
        with suppress(trio.ClosedResourceError):
            await self._core.broadcaster.inbox.publish(Message(text, room=room, kind="notice"))

    def say_nowait(self, room: str, text: str) -> None:
        """Do what `say` does, at once: for `on_broadcast`, and wherever nothing can wait.

        It is in the next batch, behind the one that `on_broadcast` is told of. Raises `trio.WouldBlock` if the server
        is so busy that it would have to wait; then nobody hears it.
        """
        if is_withheld("said in %s: %s", room, text):
            return
        with suppress(trio.ClosedResourceError):
            self._core.broadcaster.inbox.publish_nowait(Message(text, room=room, kind="notice"))

    def notice(self, text: str, *, room: str | None = None, who: Who = everyone) -> None:
        """Tell each one who is in a room now, or in that `room`, or only `operators` among them, `* text`.

        It returns at once, has no place in the one order, and is not in the log: nobody sees it who comes later.
        """
        if is_withheld("given the notice %s", text):
            return
        for client in self.clients if room is None else self.members(room):
            if client.room and who.includes(client):
                client.send(text)

    def storage(self, plugin: str) -> Storage:
        """What a plugin keeps over a restart, by the plugin's name. Nothing is opened before it is used."""
        return self._core.storages.of(plugin)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        """Start a background task of a plugin, in its lifespan: `function(*args)`.

        The task is cancelled, and has ended, before the lifespan is left; if it fails, its plugin has crashed. Raises
        `RuntimeError` anywhere else than in a lifespan and the tasks that it has started.
        """
        start_soon(function, *args, name=name)

    async def reload(self) -> list[str]:
        """Let the plugins open their files anew, and return what failed: a sentence for each plugin that did.

        What failed goes on with what it had, and is in the log as well.
        """
        if is_withheld("reloaded"):
            await trio.lowlevel.checkpoint()
            return []
        logger.info("reloading")
        return await self._core.plugins.tell(hookspecs.on_reload)

    async def replace_plugin(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Put `plugin` in the place of the one of this name, while everybody stays connected.

        Calls under way come to their end, later ones wait; the old lifespan is left, and the new one entered. Without a
        `policy` it has that of the old one. Raises `PluginError` or `StartError` if it is not made as it has to be or
        cannot start: then the old one goes on. Raises `RuntimeError` if the server is not running, and in shadow.
        """
        if is_withheld("replaced the plugin %s", name):
            raise RuntimeError("a plugin in shadow replaces nobody")
        await self._core.replace_plugin(name, plugin, policy)

    def stop(self, reason: str = "") -> None:
        """End the server gracefully; `serve` returns within `shutdown_timeout`. Everyone is told `reason`.

        While it starts, the start is broken off: the plugin that is being entered is cancelled.
        """
        if not self._core.shutdown.requested.is_set() and not is_withheld("stopped the server: %s", reason):
            self._core.shutdown.request(reason)

    def resume_after(self, id: int) -> None:
        """Give all messages greater ids than `id`, the last of an earlier run. For plugins that keep the history."""
        self._core.broadcaster.resume_after(id)

    def attach(self, stream: trio.abc.Stream, address: str) -> None:
        """Serve a client over `stream`, as if it had connected from `address`.

        Raises `RuntimeError` if the server is not running, or if the plugin that calls it is in shadow.
        """
        if is_withheld("attached a client from %s", address):
            raise RuntimeError("a plugin in shadow lets nobody in")
        self._core.attach(stream, address)

    async def serve(self, *, task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the server until `stop` is called, and report where it listens when it does.

        If it is stopped before, it reports that it listens nowhere, and leaves the plugins that it has entered.
        Raises `StartError` or `PluginError` if it cannot start. When it is cancelled, it ends within
        `shutdown_timeout` all the same, and as gracefully: every client leaves, every plugin hears of it, the log is
        whole. A server serves once.
        """
        with one_for_all():
            await self._core.serve(task_status)


def core_of(server: Server) -> Core:
    """Return what a server is made of, for what runs, watches or tests one."""
    return server._core
