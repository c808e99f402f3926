"""The core of a server: its parts, how they start, and how they end. `Server` is what others may do with it."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import trio

from trichat import hookspecs
from trichat._base.arguments import require
from trichat._base.errors import PluginError
from trichat._base.shielded_service import shielded_service
from trichat._chat.broadcaster import Broadcaster
from trichat._chat.context import Context
from trichat._chat.history import History
from trichat._chat.hub import Hub
from trichat._chat.local_broadcaster import LocalBroadcaster
from trichat._chat.order import LocalOrder, Order
from trichat._chat.session import Session
from trichat._chat.shared_broadcaster import SharedBroadcaster
from trichat._chat.shutdown import Shutdown
from trichat._config.options import Config, checked
from trichat._config.plugin_policy import Policy, policy_of
from trichat._fronts.front import Front, Limits
from trichat._fronts.line.front import LineFront
from trichat._net.listener import Address, Listener, TcpListener, check_listeners
from trichat._net.transport import StreamTransport, Transport
from trichat._plugins.command_calls import commands_of_all, marked_commands_of_all
from trichat._plugins.commands import Command, command_table, operators
from trichat._plugins.dispatch import Plugins
from trichat._plugins.hot_swap import Replacement
from trichat._plugins.lifespans import Lifespans
from trichat._plugins.loader import load_plugins
from trichat._plugins.plugin_listeners import PluginListeners, checked_listeners
from trichat._plugins.storage import Storages
from trichat._plugins.tracing import Tracer

if TYPE_CHECKING:
    from trichat._server import Server

logger = logging.getLogger("trichat")

# How shutdown_timeout is shared out: the clients' goodbyes, then the last batches, then the plugins' lifespans and
# what they store.
CLIENTS_SHARE, BROADCASTER_SHARE, LIFESPANS_SHARE, STORAGE_SHARE = 0.6, 0.2, 0.15, 0.05


# What is said to programs that come too early or too late.
NOT_RUNNING = "the server is not running: do this after nursery.start(server.serve) has returned, and before it stops"


class Core:
    """The parts of one server. Arguments and errors are those of `Server`, which is `server`."""

    plugins_class: ClassVar[type[Plugins]] = Plugins
    """For the test kit, which puts a cancel scope around each call; in `run_session`, around each session. In
    `run_listener`, it opens nothing."""
    order_class: ClassVar[type[Order]] = LocalOrder
    """For tests, and for orders to come."""
    clock: "ClassVar[staticmethod[[], int]]" = staticmethod(time.time_ns)
    """The wall clock: nanoseconds since 1970 (UTC). For the test kit, where it follows virtual time."""

    def __init__(
        self,
        server: "Server",
        config: Config,
        plugins: Mapping[str, object] | None,
        listeners: Sequence[Listener] | None,
    ) -> None:
        config = checked(config)
        if listeners is not None:
            check_listeners(listeners)
        if plugins is not None:
            require(plugins, Mapping, "plugins must be a dictionary of plugin objects by name")
        options = config.server
        self.server = server
        self.options = options
        self.shutdown = Shutdown()
        self.plugins = self.plugins_class(
            options.hook_timeout,
            on_silenced=self._plugin_was_silenced,
            on_fatal=partial(self.shutdown.request, failed=True),
        )
        for name, plugin in (load_plugins(config) if plugins is None else plugins).items():
            self.plugins.register(name, plugin, policy_of(config, name))
        command_table(marked_commands_of_all(self.plugins))  # two of one name are found before anything is started
        self.tracer = Tracer(self.plugins)
        self.hub = Hub(max_clients=options.max_clients, max_clients_per_address=options.max_clients_per_address)
        self.broadcaster = self._broadcaster(self.order_class(self.clock))
        self.history = History(self.plugins, options.hook_timeout)
        self._context = Context(
            server,
            options,
            Limits(options.max_line_bytes),
            self.hub,
            self.plugins,
            self.broadcaster,
            self.history,
            self.shutdown,
        )
        self.storages = Storages(Path(options.data_dir).absolute(), STORAGE_SHARE * options.shutdown_timeout)
        self.commands: Mapping[str, Command] = {}
        """Those of plugins that have not crashed; empty before the start."""
        self._front: Front = LineFront()
        tcp = TcpListener(options.host, options.port, send_timeout=options.send_timeout)
        self.listeners: Sequence[Listener] = [tcp] if listeners is None else listeners
        self._plugin_listeners = PluginListeners(self.run_listener)
        self.has_begun, self.has_ended = False, False
        """Whether `serve` was called, and whether that is over."""
        self._variables = Variables()
        """The context variables of the task that serves."""
        self._nursery: trio.Nursery | None = None
        """Where sessions run; there while connections are taken."""
        self._lifespans: Lifespans | None = None
        self._replacing = trio.Lock()
        self._sessions: set[Session] = set()

    def _broadcaster(self, order: Order) -> Broadcaster:
        if isinstance(order, LocalOrder):
            return LocalBroadcaster(self.hub, self.plugins, order)
        return SharedBroadcaster(self.hub, self.plugins, order, partial(self.shutdown.request, failed=True))

    def _plugin_was_silenced(self, name: str, why: str) -> None:
        self.commands = self._without_crashed(self.commands)
        self.server.notice(f"the plugin {name!r}: {why}", who=operators)

    def _without_crashed(self, commands: Mapping[str, Command]) -> Mapping[str, Command]:
        crashed = self.plugins.active.crashed
        return {name: command for name, command in commands.items() if command.plugin not in crashed}

    @property
    def takes_clients(self) -> bool:
        """Whether the server runs: it takes connections, and all plugins are there."""
        return self._nursery is not None

    async def replace_plugin(self, name: str, plugin: object, policy: Policy | None) -> None:
        """Do what `Server.replace_plugin` does."""
        async with self._replacing:
            if self._nursery is None or self._lifespans is None:
                raise RuntimeError(NOT_RUNNING)
            if name not in self.plugins.active.registry:
                raise PluginError(f"there is no plugin {name!r} that another one could replace")
            commands = self.commands
            replacement = Replacement(name, plugin, policy, self.server, self.plugins, self._plugin_listeners, commands)
            try:
                await replacement.take_place(self._lifespans)
                commands = replacement.commands
            finally:
                self.commands = self._without_crashed(commands)

    def attach(self, stream: trio.abc.Stream, address: str) -> None:
        """Do what `Server.attach` does."""
        self._accept(StreamTransport(stream, address))

    async def serve_stream(self, stream: trio.abc.Stream, address: str) -> None:
        """Do what `Server.serve_stream` does."""
        session, gone = self._session(StreamTransport(stream, address)), trio.Event()
        self._start(session, partial(self._run_until_gone, gone))
        try:
            await gone.wait()
        finally:
            if not gone.is_set():
                session.end("the server has closed this connection", self._deadline_of_clients())
                with trio.CancelScope(shield=True):  # the session has a deadline of its own
                    await gone.wait()  # noqa: ASYNC102

    async def serve(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Do what `Server.serve` does, and raise whole groups of errors."""
        if self.has_begun:
            raise RuntimeError("serve() was called before; a Server serves once, so make another one")
        self.has_begun = True
        try:
            await self._serve(task_status)
        finally:
            self.has_ended = True
            self.broadcaster.inbox.abandon()

    async def _serve(self, task_status: trio.TaskStatus[list[Address]]) -> None:
        self._variables = copy_context()
        grace = self.options.shutdown_timeout
        lifespans = self._lifespans = Lifespans(
            self.plugins.contributions(hookspecs.lifespan, self.server),
            timeout_of=lambda name: self.plugins.active.registry[name].timeout,
            # A little less than all of the share, so that one that hangs is named before it is cut off.
            grace=0.8 * LIFESPANS_SHARE * grace,
            on_crash=self.plugins.active.mark_crashed,
            entering=self.shutdown.entering_plugins,
        )
        # What is needed longest is entered first: clients while there are clients, the broadcaster until the last of
        # them has left, the plugins until the last message is in the log.
        async with (
            shielded_service(self.plugins.deadlines.watch, lambda: None, 0, name="deadlines"),
            self.storages.serving(),
            shielded_service(lifespans.run, lifespans.stop, LIFESPANS_SHARE * grace, name="plugins"),
        ):
            if self.shutdown.requested.is_set():
                # Not all plugins are there, so none can be asked for anything, nor told what others may have said.
                logger.info("%s before it has started", self.shutdown.announcement)
                self.broadcaster.inbox.close()
                task_status.started([])
            else:
                await self._take_clients(lifespans, task_status)
        logger.info("stopped")

    async def _take_clients(self, lifespans: Lifespans, task_status: trio.TaskStatus[list[Address]]) -> None:
        grace = BROADCASTER_SHARE * self.options.shutdown_timeout
        self.commands = self._without_crashed(command_table(commands_of_all(self.plugins)))
        async with (
            shielded_service(self.broadcaster.run, self.broadcaster.inbox.close, grace, name="broadcaster"),
            trio.open_nursery() as self._nursery,
        ):
            try:
                await self._listen(lifespans, task_status)
            finally:
                # It shields itself, and has a deadline.
                await self._plugin_listeners.close()  # noqa: ASYNC102
                self._end_sessions()

    async def _listen(self, lifespans: Lifespans, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Take connections until the server stops."""
        async with trio.open_nursery() as nursery:
            addresses: list[Address] = []
            # A plugin that is replaced meanwhile would open the listeners of both versions.
            with self.shutdown.opening_listeners:
                async with self._replacing:
                    contributed = self._contributed_listeners()
                    for listener in self.listeners:
                        reported = await nursery.start(listener.serve, self._accept, name="listener")
                        require(reported, list, f"{listener!r} must report a list of addresses")
                        addresses += reported
                    for plugin, listeners in contributed.items():
                        start_more = partial(self._plugin_listeners.open, plugin, listeners)
                        await lifespans.extend(plugin, start_more)
            task_status.started([] if self.shutdown.requested.is_set() else addresses)
            await self.shutdown.requested.wait()
            nursery.cancel_scope.cancel()

    def _contributed_listeners(self) -> Mapping[str, Sequence[Listener]]:
        """Return the listeners of each plugin that has any. Raises `PluginError`."""
        registry = self.plugins.active.registry
        found = {
            name: checked_listeners(name, registry[name].policy, contribution)
            for name, contribution in self.plugins.contributions(hookspecs.listeners, self.server)
        }
        return {name: listeners for name, listeners in found.items() if listeners}

    async def run_listener(self, listener: Listener, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        """Run a listener that a plugin contributes."""
        await listener.serve(self._accept, task_status=task_status)

    def _accept(self, transport: Transport, front: Front | None = None) -> None:
        self._start(self._session(transport, front), self.run_session)

    def _session(self, transport: Transport, front: Front | None = None) -> Session:
        return Session(transport, self._front if front is None else front, self._context)

    def _start(self, session: Session, run: Callable[[Session], Awaitable[None]]) -> None:
        """Run a session in a task of the server. Raises `RuntimeError` if the server is not running."""
        if self._nursery is None:
            raise RuntimeError(NOT_RUNNING)
        self._sessions.add(session)
        # A task inherits the context in which it is started, and a plugin that attaches a client has one of its own.
        self._variables.run(partial(self._nursery.start_soon, run, session, name=f"client {session.connection}"))

    async def _run_until_gone(self, gone: trio.Event, session: Session) -> None:
        try:
            await self.run_session(session)
        finally:
            gone.set()

    async def run_session(self, session: Session) -> None:
        """Run a session to its end. Nothing but cancellation gets out of here."""
        try:
            await session.run()
        except (Exception, SystemExit):
            logger.exception("%s: an error in the server", session.connection)
        finally:
            self._sessions.discard(session)

    def _end_sessions(self) -> None:
        self._nursery = None
        self.broadcaster.stop_announcing_departures()
        deadline = self._deadline_of_clients()
        announcement = self.shutdown.announcement
        if announcement:
            logger.info("%s; connections to end: %d", announcement, len(self._sessions))
        for session in self._sessions:
            session.end(announcement or "the server is stopping", deadline)

    def _deadline_of_clients(self) -> float:
        """Return when clients that are told to leave now have to be gone, by Trio's clock."""
        return trio.current_time() + CLIENTS_SHARE * self.options.shutdown_timeout
