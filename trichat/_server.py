"""The server: puts the parts together, and gives plugins and embedders what they may do with them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from pathlib import Path
from typing import ClassVar

import trio

from trichat import hookspecs
from trichat._base.errors import PluginError
from trichat._base.failures import one_for_all
from trichat._base.messages import LOBBY, Message
from trichat._base.shielded_service import shielded_service
from trichat._chat.broadcaster import Broadcaster
from trichat._chat.client import Client
from trichat._chat.context import House
from trichat._chat.history import History
from trichat._chat.hub import Hub
from trichat._chat.order import Sequencer
from trichat._chat.session import Session
from trichat._config.options import Config, ServerOptions
from trichat._config.plugin_policy import Policy, policy_of
from trichat._fronts.line.wire import LineWire
from trichat._fronts.wire import Wire
from trichat._net.listener import Address, Listener, TcpListener
from trichat._net.transport import StreamTransport, Transport
from trichat._plugins.background_tasks import start_soon
from trichat._plugins.command_calls import commands_of_all
from trichat._plugins.commands import Command, Who, command_table, everyone, operators
from trichat._plugins.dispatch import Plugins
from trichat._plugins.hot_swap import Replacement
from trichat._plugins.lifespans import Lifespans
from trichat._plugins.loader import load_plugins
from trichat._plugins.shadow import is_withheld
from trichat._plugins.storage import Storage, Storages
from trichat._plugins.tracing import Tracer

logger = logging.getLogger("trichat")

# How shutdown_timeout is shared out: the clients' goodbyes, then the last batches, then the plugins' lifespans and
# what they store.
CLIENTS_SHARE, BROADCASTER_SHARE, LIFESPANS_SHARE, STORAGE_SHARE = 0.6, 0.2, 0.15, 0.05


class Server:
    """A chat server.

    `plugins` by name, in the order of their registration; without them, those that `config` asks for.
    `listeners` are where connections come from; without them, TCP as `config` says.
    Raises `ConfigError` or `PluginError`.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Mapping[str, object] | None = None,
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        config = Config() if config is None else config
        options = config.server
        self._options = options
        self._plugins = self._make_plugins(options.hook_timeout, on_out=self._plugin_is_out, on_fatal=self._fail)
        self._stopping = trio.Event()
        self._stop_reason = ""
        self._entering, self._opening = trio.CancelScope(), trio.CancelScope()
        """The start, first of the plugins and then of the listeners: a stop does not wait for it."""
        for name, plugin in (load_plugins(config) if plugins is None else plugins).items():
            self._plugins.register(name, plugin, policy_of(config, name))
        self._tracer = Tracer(self._plugins)
        self._wire = LineWire(options.max_line_bytes)
        tcp = TcpListener(options.host, options.port, self._wire, options.send_timeout)
        self._listeners = [tcp] if listeners is None else listeners
        self._hub = Hub(max_clients=options.max_clients, max_clients_per_address=options.max_clients_per_address)
        self._broadcaster = Broadcaster(self._hub, self._plugins, Sequencer())
        self._house = House(
            options, self._hub, self._plugins, self._broadcaster, History(self._plugins, options.hook_timeout)
        )
        self._storages = Storages(Path(options.data_dir).absolute(), STORAGE_SHARE * options.shutdown_timeout)
        self._commands: Mapping[str, Command] = {}
        self._failed = False
        """Whether it was stopped by the failure of a plugin."""
        self._context = Context()
        """That of whoever serves."""
        self._nursery: trio.Nursery | None = None
        """Where sessions run; there while connections are taken."""
        self._lifespans: Lifespans | None = None
        self._replacing = trio.Lock()
        self._sessions: set[Session] = set()

    # The test kit has a registry of its own, and runs each session in a scope of its own: these are its two seams.

    _make_plugins: ClassVar[type[Plugins]] = Plugins

    @property
    def options(self) -> ServerOptions:
        """The table `[server]` of its configuration."""
        return self._options

    @property
    def plugin_names(self) -> Sequence[str]:
        """The plugins, in the order of their registration."""
        return [each.name for each in self._plugins.roster.registry]

    @property
    def commands(self) -> Mapping[str, Command]:
        """The slash commands by name; empty before the start."""
        return self._commands

    @property
    def clients(self) -> Sequence[Client]:
        """Who is connected, in the order of arrival; those without a name yet are among them."""
        return self._hub.clients()

    @property
    def rooms(self) -> Sequence[str]:
        """The rooms that somebody is in."""
        return self._hub.rooms()

    def members(self, room: str = LOBBY) -> Sequence[Client]:
        """Who is in a room, in the order of joining."""
        return self._hub.members(room)

    async def say(self, room: str, text: str) -> None:
        """Tell a room something as the server: `* text`, in the one order and in the log.

        Waits while the server is busy. In `on_broadcast`, where waiting would never end, it raises `RuntimeError`
        instead of waiting. After the last client is gone it does nothing.
        """
        if is_withheld("said in %s: %s", room, text):
            await trio.lowlevel.checkpoint()
            return
        with suppress(trio.ClosedResourceError):
            await self._broadcaster.inbox.publish(Message(text, room=room, kind="notice"))

    def say_nowait(self, room: str, text: str) -> None:
        """Do what `say` does, at once: for `on_broadcast`, and wherever nothing can wait.

        It is in the next batch, behind the one that `on_broadcast` is told of. Raises `trio.WouldBlock` if the server
        is so busy that it would have to wait; then nobody hears it.
        """
        if is_withheld("said in %s: %s", room, text):
            return
        with suppress(trio.ClosedResourceError):
            self._broadcaster.inbox.publish_nowait(Message(text, room=room, kind="notice"))

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
        return self._storages.of(plugin)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        """Start a background task of a plugin, in its lifespan: `function(*args)`.

        The task is cancelled, and has ended, before the lifespan is left; if it fails, its plugin has crashed. Raises
        `RuntimeError` anywhere else than in a lifespan and the tasks that it has started.
        """
        start_soon(function, *args, name=name)

    def _plugin_is_out(self, name: str, why: str) -> None:
        self._commands = self._of_those_that_run(self._commands)
        self.notice(f"the plugin {name!r}: {why}", who=operators)

    def _of_those_that_run(self, commands: Mapping[str, Command]) -> Mapping[str, Command]:
        crashed = self._plugins.roster.crashed
        return {name: command for name, command in commands.items() if command.plugin not in crashed}

    async def reload(self) -> list[str]:
        """Let the plugins open their files anew, and return what failed: a sentence for each plugin that did.

        What failed goes on with what it had, and is in the log as well.
        """
        if is_withheld("reloaded"):
            await trio.lowlevel.checkpoint()
            return []
        logger.info("reloading")
        return await self._plugins.tell(hookspecs.on_reload)

    async def replace_plugin(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Put `plugin` in the place of the one of this name, while everybody stays connected.

        Calls under way come to their end, later ones wait; the old lifespan is left, and the new one entered. Without a
        `policy` it has that of the old one. Raises `PluginError` or `StartError` if it is not made as it has to be or
        cannot start: then the old one goes on. Raises `RuntimeError` if the server is not running, and in shadow.
        """
        if is_withheld("replaced the plugin %s", name):
            raise RuntimeError("a plugin in shadow replaces nobody")
        async with self._replacing:
            if self._nursery is None or self._lifespans is None:
                raise RuntimeError("the server is not running")
            if name not in self._plugins.roster.registry:
                raise PluginError(f"there is no plugin {name!r} that another one could replace")
            commands = self._commands
            replacement = Replacement(name, plugin, policy, self, self._plugins, commands)
            try:
                await replacement.take_place(self._lifespans)
                commands = replacement.commands
            finally:
                self._commands = self._of_those_that_run(commands)

    def stop(self, reason: str = "") -> None:
        """End the server gracefully; `serve` returns within `shutdown_timeout`. Everyone is told `reason`.

        While it starts, the start is broken off: the plugin that is being entered is cancelled.
        """
        if not self._stopping.is_set() and not is_withheld("stopped the server: %s", reason):
            self._stop_reason = reason
            self._stopping.set()
            for start in (self._entering, self._opening):
                start.cancel("the server is stopping")

    def _fail(self, why: str) -> None:
        if not self._stopping.is_set():
            self.stop(why)
            self._failed = self._stopping.is_set()

    def resume_after(self, id: int) -> None:
        """Give all messages greater ids than `id`, the last of an earlier run. For plugins that keep the history."""
        self._broadcaster.resume_after(id)

    def attach(self, stream: trio.abc.Stream, address: str) -> None:
        """Serve a client over `stream`, as if it had connected from `address`.

        Raises `RuntimeError` if the server is not running, or if the plugin that calls it is in shadow.
        """
        if is_withheld("attached a client from %s", address):
            raise RuntimeError("a plugin in shadow lets nobody in")
        if self._nursery is None:
            raise RuntimeError("the server is not running")
        self._accept(StreamTransport(stream, address), self._wire)

    @property
    def _last_words(self) -> str:
        """What everyone is told at a stop; empty before."""
        if not self._stopping.is_set():
            return ""
        return f"the server is stopping ({self._stop_reason})" if self._stop_reason else "the server is stopping"

    async def serve(self, *, task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the server until `stop` is called, and report where it listens when it does.

        If it is stopped before, it reports that it listens nowhere, and leaves the plugins that it has entered.
        Raises `StartError` or `PluginError` if it cannot start. When it is cancelled, it ends within
        `shutdown_timeout` all the same, and as gracefully: every client leaves, every plugin hears of it, the log is
        whole. A server serves once.
        """
        with one_for_all():
            await self._serve(task_status)

    async def _serve(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        self._context = copy_context()
        grace = self._options.shutdown_timeout
        lifespans = self._lifespans = Lifespans(
            self._plugins.contributions(hookspecs.lifespan, self),
            timeout_of=lambda name: self._plugins.roster.registry[name].timeout,
            # A little less than all of the share, so that one that hangs is told of before it is cut off.
            grace=0.8 * LIFESPANS_SHARE * grace,
            on_crash=self._plugins.roster.mark_crashed,
            entering=self._entering,
        )
        # Who is needed longest is entered first: clients while there are clients, the broadcaster until the last of
        # them has left, the plugins until the last message is in the log.
        async with (
            shielded_service(self._plugins.deadlines.watch, lambda: None, 0, name="deadlines"),
            self._storages.serving(),
            shielded_service(lifespans.run, lifespans.stop, LIFESPANS_SHARE * grace, name="plugins"),
        ):
            if self._stopping.is_set():
                # Not all plugins are there, so none can be asked for anything, nor told what others may have said.
                logger.info("%s before it has started", self._last_words)
                self._broadcaster.inbox.close()
                task_status.started([])
            else:
                await self._take_clients(task_status)
        logger.info("stopped")

    async def _take_clients(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        grace = BROADCASTER_SHARE * self._options.shutdown_timeout
        self._commands = self._of_those_that_run(command_table(commands_of_all(self._plugins)))
        async with (
            shielded_service(self._broadcaster.run, self._broadcaster.inbox.close, grace, name="broadcaster"),
            trio.open_nursery() as self._nursery,
        ):
            try:
                await self._listen(task_status)
            finally:
                self._end_sessions()

    async def _listen(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Take connections until the server stops."""
        async with trio.open_nursery() as nursery:
            addresses: list[Address] = []
            with self._opening:
                for listener in self._listeners:
                    addresses += await nursery.start(listener.serve, self._accept, name="listener")
            task_status.started(addresses)
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

    def _accept(self, transport: Transport, wire: Wire) -> None:
        assert self._nursery is not None
        session = Session(Client(self, transport.address, wire), transport, wire, self._house)
        self._sessions.add(session)
        # A task inherits the context in which it is started, and a plugin that attaches somebody has one of its own.
        start = partial(self._nursery.start_soon, self._run, session, name=f"client {transport.address}")
        self._context.run(start)

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception:
            logger.exception("%s: an error in the server", session.client)
        finally:
            self._sessions.discard(session)

    def _end_sessions(self) -> None:
        self._nursery = None
        self._broadcaster.hush()
        deadline = trio.current_time() + CLIENTS_SHARE * self._options.shutdown_timeout
        if self._stopping.is_set():
            logger.info("%s; connections to end: %d", self._last_words, len(self._sessions))
        for session in self._sessions:
            session.end(self._last_words or "the server is stopping", deadline)
