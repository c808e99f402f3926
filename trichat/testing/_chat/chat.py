"""A server that runs in memory, with the people who talk to it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import trio

from trichat._base.errors import PluginError
from trichat._base.failures import leaves, one_for_all
from trichat._base.messages import LOBBY
from trichat._base.task_tree import task_tree
from trichat._config.options import Config, ServerOptions, in_trial
from trichat._fronts.front import Front
from trichat._fronts.line.front import LineFront
from trichat._net.listener import Accept, Address
from trichat._plugins.discovery import is_factory, name_of, refuse_single
from trichat._plugins.loader import load_plugin, load_plugins
from trichat._plugins.log_path import log_path_of
from trichat._server import Server
from trichat.testing._chat.dialogue import Dialogue
from trichat.testing._chat.memory_transport import KERNEL_BUFFER, MemoryLine, MemoryTransport, Pipe
from trichat.testing._chat.person import GREETING, Person
from trichat.testing._chat.scratch_folder import scratch
from trichat.testing._chat.virtual_time import idle
from trichat.testing._probing.instrumented_server import ProbedServer

# Seconds that a server has to say goodbye to everybody. After that, they leave in any case.
GOODBYE = 1.0

Plugins = Mapping[str, object] | Iterable[object]
"""Plugins, in a list or by name: instances, classes, modules, or what `--plugin` takes (`"dice.py"`, `"bots.dice"`)."""

Tables = Mapping[str, Mapping[str, object]]
"""A configuration with the tables of `trichat.toml`: `{"server": {...}, "plugins": {"dice": {...}}}`."""

Connect = Callable[[Pipe, Pipe, str], MemoryTransport]
"""Makes the server's end of a connection. Takes the pipe to it, the pipe from it, and the client's address."""


class MemoryListener:
    """A listener for people in the same process."""

    def __init__(self, front: Front, transport: Connect = MemoryTransport) -> None:
        self._front = front
        self._transport = transport
        self._accept: Accept | None = None

    async def serve(
        self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept connections until cancelled."""
        self._accept = accept
        task_status.started([])
        try:
            await trio.sleep_forever()
        finally:
            self._accept = None

    def connect(
        self, address: str, arrived: Callable[[bytes], None], front: Front | None
    ) -> tuple[MemoryLine, MemoryTransport]:
        """Connect, and return both ends. Raises `ConnectionRefusedError` if the server accepts no connections."""
        if self._accept is None:
            raise ConnectionRefusedError(111, "Connection refused")
        to_server, from_server = Pipe(KERNEL_BUFFER), Pipe(arrived=arrived)
        transport = self._transport(to_server, from_server, address)
        self._accept(transport, front or self._front)
        return MemoryLine(from_server, to_server), transport


class Chat:
    """A server that runs in memory. Connect people to it with `join`."""

    def __init__(
        self,
        server: ProbedServer,
        plugins: Mapping[str, object],
        listener: MemoryListener,
        folder: Path,
        make: Callable[[str], object],
    ) -> None:
        self.server: Server = server
        """The server itself."""
        self.plugins: dict[str, object] = dict(plugins)
        """The plugins that it runs, by name."""
        self.folder = folder
        """The folder that plugins write to; it has the chat log."""
        self.dialogue: Dialogue = Dialogue(self._is_secret)
        """What was said and heard so far."""
        self.people: list[Person] = []
        """Everyone who ever connected, in order."""
        self.transports: list[MemoryTransport] = []
        """The server's ends of their connections, in the same order."""
        self._listener = listener
        self._fronts = server.fronts
        self._make = make

    async def join(self, name: str, address: str = "127.0.0.1") -> Person:
        """Connect, give a name, and read everything up to the welcome. Raises `NotHeard`."""
        person = self.connect_silently(address, name)
        await person.say(name)
        await person.hears_up_to("* welcome, ")
        return person

    async def connect(self, address: str = "127.0.0.1", name: str = "") -> Person:
        """Connect, and read the greeting. `name` is the label of this person in the dialogue."""
        person = self.connect_silently(address, name)
        await person.hears(GREETING)
        return person

    def connect_silently(self, address: str = "127.0.0.1", name: str = "", front: Front | str = "") -> Person:
        """Connect, and read nothing yet. Raises `ConnectionRefusedError` if the server has stopped.

        The connection speaks `front`, by default the line protocol: as if a listener that carries it had accepted it.
        It may also be the name of a front that a listener of a plugin carries; raises `LookupError` if none does.
        What the person says and hears are lines on any front.
        """
        spoken = self._front(front) if isinstance(front, str) else front
        person = Person(
            name or f"guest{len(self.people) + 1}", self.dialogue, self.report, spoken.name if spoken else None
        )
        line, transport = self._listener.connect(address, person.arrived, spoken)
        person.connected(line)
        self.people.append(person)
        self.transports.append(transport)
        return person

    def _front(self, name: str) -> Front | None:
        """Return the front of this name; `None` for the line protocol, which has no name here."""
        if name and name not in self._fronts:
            known = ", ".join(self._fronts) or "no front"
            raise LookupError(f"no listener of a plugin carries a front named {name!r}; they carry {known}")
        return self._fronts.get(name)

    async def replace(self, name: str) -> None:
        """Create a plugin again and replace the running one, as a reload with a new version does.

        Raises `PluginError` or `StartError` if it cannot. A plugin that was given as an instance cannot be created
        again.
        """
        plugin = self._make(name)
        await self.server.replace_plugin(name, plugin)
        self.plugins[name] = plugin

    async def settled(self) -> None:
        """Wait until there is nothing left to do: every task waits for another one, or for time to pass."""
        await idle()

    def members(self, room: str = LOBBY) -> list[str]:
        """Return the names of the people in a room, in the order of entering."""
        return [member.name for member in self.server.members(room)]

    def _is_secret(self, command: str) -> bool:
        found = self.server.commands.get(command)
        return found is not None and found.secret

    @property
    def log_path(self) -> Path | None:
        """The path of the chat log; `None` if no plugin keeps one."""
        return log_path_of(self.plugins.values())

    @property
    def log(self) -> list[str]:
        """The lines of the chat log as people see them live: without dates and rooms."""
        if self.log_path is None or not self.log_path.exists():
            return []
        said = [line.split(" ", 2)[2] for line in self.log_path.read_text(encoding="utf-8").splitlines()]
        return [line.removeprefix("*") if line.startswith("** ") else line for line in said]

    def report(self) -> str:
        """Return the dialogue so far and the tree of tasks, as in the text of a failure."""
        parts = {"the dialogue so far": str(self.dialogue), "the tasks": task_tree()}
        return "".join(f"\n{title}:\n" + _indented(text) for title, text in parts.items() if text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@asynccontextmanager
async def running(
    plugins: Plugins = (),
    config: Tables | None = None,
    *,
    folder: Path | None = None,
    transport: Connect = MemoryTransport,
) -> AsyncIterator[Chat]:
    """Run a server in memory, and stop it at the end of the block.

    The server has `plugins` and the built-in plugins, except those that `config` turns off. They write to `folder`, by
    default a temporary one. `transport` makes the server's ends of connections.
    Raises `ConfigError`, `PluginError` or `StartError`, as `trichat serve` does.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(scratch()))
        chat = make_chat(plugins, config, folder, transport)
        async with serving(chat):
            yield chat


@asynccontextmanager
async def serving(chat: Chat) -> AsyncIterator[None]:
    """Run the server of a chat, and stop it at the end of the block. Raises `StartError`."""
    failure: BaseException | None = None
    with one_for_all():
        async with trio.open_nursery() as nursery:
            await nursery.start(chat.server.serve)
            try:
                yield
                chat.server.stop()
                await _leave_when_told(chat)
            except BaseException as error:  # noqa: ASYNC103 - it is raised below
                if is_cancelled(error):
                    raise
                # It is raised below, so that it does not become part of an exception group.
                failure = error
                nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _leave_when_told(chat: Chat) -> None:
    """Close everybody's end of the connection once the server has said goodbye, as clients do. It waits for that."""
    with trio.move_on_after(GOODBYE):
        await idle()
    for person in chat.people:
        person.send_eof()


def is_cancelled(error: BaseException) -> bool:
    """Whether an error contains a cancellation, which must pass."""
    return any(isinstance(leaf, trio.Cancelled) for leaf in leaves(error))


def make_chat(plugins: Plugins, config: Tables | None, folder: Path, transport: Connect = MemoryTransport) -> Chat:
    """Return a chat whose server does not run yet. Raises `ConfigError` or `PluginError`."""
    tables = config or {}
    server: object = tables.get("server", {})
    if isinstance(server, Mapping):  # anything else is refused below
        tables = {**tables, "server": in_trial(ServerOptions, server, folder)}
    full = msgspec.structs.replace(Config.from_tables(tables), trial_folder=folder)
    named = by_name(plugins)
    factories = {name: plugin for name, plugin in named.items() if is_factory(plugin)}
    # An instance exists already, so its table is not for options. Only the server reads it.
    to_load = {name: table for name, table in full.plugins.items() if name in factories or name not in named}
    loaded = msgspec.structs.replace(full, plugins=to_load)
    found = load_plugins(loaded, factories)
    built_in = {name: plugin for name, plugin in found.items() if name not in named}
    given = {name: plugin for name, plugin in named.items() if name in found or not is_factory(plugin)}
    for name in found:
        if name in given and not is_factory(given[name]):
            raise PluginError(f"there are two plugins named {name!r}; rename the one that you add")
    ordered = {**built_in, **{name: found.get(name, plugin) for name, plugin in given.items()}}
    listener = MemoryListener(LineFront(), transport)

    def make(name: str) -> object:
        if name in ordered and name not in found:
            raise PluginError(
                f"the plugin {name!r} was given as an instance and cannot be created again; give its class"
            )
        return load_plugin(name, loaded, factories)

    return Chat(ProbedServer(full, plugins=ordered, listeners=[listener]), ordered, listener, folder, make)


def by_name(plugins: Plugins) -> dict[str, object]:
    """Return plugins by name, in order. Raises `PluginError` if two share a name, `TypeError` if it is not a list."""
    refuse_single(plugins)
    if isinstance(plugins, Mapping):
        return dict(plugins)
    named: dict[str, object] = {}
    for plugin in plugins:
        if name_of(plugin) in named:
            raise PluginError(
                f"there are two plugins named {name_of(plugin)!r}; give them different names in a dictionary"
            )
        named[name_of(plugin)] = plugin
    return named
