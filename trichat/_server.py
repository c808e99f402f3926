"""The server, as plugins and embedding programs see it. What it is made of is in `trichat._chat.core`."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import trio

from trichat import hookspecs
from trichat._base import nicknames, room_names
from trichat._base.arguments import require
from trichat._base.failures import one_for_all
from trichat._base.messages import LOBBY, Message, Refuse
from trichat._chat.client import Client
from trichat._chat.core import NOT_RUNNING, Core
from trichat._chat.person import Person
from trichat._config.options import Config, ServerOptions
from trichat._config.plugin_policy import Policy
from trichat._net.listener import Address, Listener
from trichat._plugins.background_tasks import start_soon
from trichat._plugins.commands import Command, Who, everyone
from trichat._plugins.shadow import is_withheld
from trichat._plugins.storage import Storage

logger = logging.getLogger("trichat")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Server:
    """A chat server.

    `plugins` by name, in the order of their registration; without them, those that `config` asks for.
    `listeners` are where connections come from; without them, TCP as `config` says.
    Raises `ConfigError` or `PluginError`, and `TypeError` for anything else than a `Config`, a dictionary of plugin
    objects and a list of listeners.
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
    def listeners(self) -> Sequence[Listener]:
        """Where its own connections come from. Those of plugins are not among them."""
        return self._core.listeners

    @property
    def plugin_names(self) -> Sequence[str]:
        """The plugins, in the order of their registration."""
        return [each.name for each in self._core.plugins.active.registry]

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

    def members(self, room: str = LOBBY) -> Sequence[Person]:
        """Return the people in a room, in the order of entering."""
        return [presence.person for presence in self._core.hub.members(room)]

    def find_room(self, name: str) -> str | None:
        """Return the room that this name means, in whatever way it is written, or `None` if nobody is in it."""
        try:
            room = room_names.prepare(name)
        except room_names.InvalidRoom:
            return None
        return room if self._core.hub.count(room) else None

    def topic(self, room: str = LOBBY) -> Message | None:
        """Return the message that set the topic of a room; `None` if it has no topic."""
        return self._core.hub.topic(room)

    @property
    def topics(self) -> Sequence[Message]:
        """The messages that set the topics of rooms, of those rooms that have one."""
        return self._core.hub.topics()

    def set_topic(self, message: Message) -> None:
        """Let a message of the kind `topic`, with its id, be the topic of its room, unless a later one is.

        Nobody is told: `Client.say` tells the room. A room that nobody is in loses its topic, except for the lobby.
        """
        if is_withheld("set the topic of %s: %s", message.room, message.text):
            return
        if message.kind != "topic" or not message.id:
            raise ValueError(f"a topic is a message of the kind 'topic' with an id, not {message!r}")
        self._core.hub.set_topic(message)

    def find(self, name: str) -> Person | None:
        """Return the person who has this name, in whatever way it is written: as the server compares names."""
        presence = self._core.hub.find(name)
        return None if presence is None else presence.person

    async def say(self, room: str, text: str, sender: str = "") -> int:
        """Tell a room something, in the one order and in the log: `* text`, or `* [sender] text` as a bot.

        Returns the id of the message when it was sent; 0 if nobody hears it, because the server is ending or the log
        cannot be written. If this is cancelled, the text may be said all the same. The name of a bot is prepared like a
        person's, and may be one that a person has: the brackets tell them apart.

        Raises `ValueError` if `sender` cannot be a name, and `RuntimeError` before `serve` and where it would wait
        forever: in `on_broadcast` and in tasks that it waits for, and in a `lifespan` that the start waits for.
        """
        if is_withheld("said in %s: %s", room, text):
            await trio.lowlevel.checkpoint()
            return 0
        return await self._publish(_speech(room, text, sender))

    def say_nowait(self, room: str, text: str, sender: str = "") -> None:
        """Do what `say` does without waiting: for `on_broadcast`, and wherever nothing can wait.

        The text is in the next batch, after the one that `on_broadcast` is told of. Raises `trio.WouldBlock` if the
        server is so busy that it would have to wait; then nobody hears it.
        """
        if is_withheld("said in %s: %s", room, text):
            return
        message = _speech(room, text, sender)
        self._check_begun()
        with suppress(trio.ClosedResourceError):
            self._core.broadcaster.inbox.publish_nowait(message)

    async def publish_control(self, text: str) -> int:
        """Tell programs something, in the one order and in the log: a message of the kind `control`.

        Every plugin gets it in `on_broadcast`, and no client ever sees it. The text is one line. For acts that have
        their place among what people say, and that have to be carried out again when the log is read. Returns and
        raises what `say` does.
        """
        if is_withheld("told programs %s", text):
            await trio.lowlevel.checkpoint()
            return 0
        require(text, str, "what programs are told must be a string")
        return await self._publish(Message(text, rooms=(), kind="control"))

    async def _publish(self, message: Message) -> int:
        """Publish a message, wait until it was sent, and return its id, or 0 if it was not sent."""
        self._check_begun()
        # Other plugins are told of it, each with a deadline of its own. If one is slow, the caller is not to blame.
        with self._core.plugins.deadlines.suspended(), suppress(trio.ClosedResourceError):
            sent = await self._core.broadcaster.inbox.publish_and_wait(message)
            if isinstance(sent, Message):
                return sent.id
        return 0

    def _check_begun(self) -> None:
        if not self._core.has_begun:
            raise RuntimeError(NOT_RUNNING)

    def now(self) -> datetime:
        """Return the time, in UTC, by the clock that dates messages. In tests it follows virtual time."""
        return _EPOCH + timedelta(microseconds=self._core.clock() // 1000)

    def notice(self, text: str, *, room: str | None = None, who: Who = everyone) -> None:
        """Tell `* text` to everyone who is in a room now, or in that `room`; with `who=operators`, only to those who
        may see operators' notices.

        Never waits. The text has no place in the one order and is not in the log, so nobody who joins later sees it.
        """
        if is_withheld("given the notice %s", text):
            return
        require(text, str, "what the server says must be a string")
        for client in self.clients:
            is_here = bool(client.rooms) if room is None else room in client.rooms
            if is_here and (who is everyone or client.may("notices", room or client.room)):
                client.send(text)

    def refusal(self, client: Client, action: str, room: str = "", *, what: str = "that") -> Refuse | None:
        """Return why a client may not do something, such as `"kick"`, or `None` if it may.

        `room` is empty for the whole server. The plugins are asked (the hook `permits`). If none of them has an
        opinion, the default of the action decides; its reason begins with `what`. Never waits.
        """
        require(action, str, "an action must be a string")
        return self._core.plugins.refusal(client, action, room, what)

    def storage(self, plugin: str) -> Storage:
        """Return what a plugin keeps across restarts, by the plugin's name. Nothing is opened before it is used."""
        require(plugin, str, "the name of a plugin must be a string")
        return self._core.storages.of(plugin)

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object, name: str | None = None) -> None:
        """Start a background task of a plugin, in its lifespan: `function(*args)`.

        The task is cancelled, and has ended, before the lifespan is left. If it fails, its plugin has crashed. Raises
        `RuntimeError` outside a lifespan and the tasks started by it.
        """
        start_soon(function, *args, name=name)

    async def reload(self) -> list[str]:
        """Let the plugins reopen their files, and return what failed: a sentence for each plugin that did.

        A plugin that failed keeps what it had; the failure is in the log as well. Raises `RuntimeError` before `serve`
        and after it.
        """
        if is_withheld("reloaded"):
            await trio.lowlevel.checkpoint()
            return []
        if not self._core.has_begun or self._core.has_ended:
            raise RuntimeError(NOT_RUNNING)
        logger.info("reloading")
        return await self._core.plugins.tell(hookspecs.on_reload)

    async def replace_plugin(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Replace the plugin of this name by `plugin`, while everybody stays connected.

        Calls under way finish, later ones wait; then the old lifespan is left and the new one entered. Without a
        `policy`, it has that of the old one. Raises `PluginError` if it is not built as a plugin has to be, and
        `StartError` if it cannot start; then the old one keeps running. Raises `RuntimeError` if the server is not
        running, or if the caller is in shadow.
        """
        if is_withheld("replaced the plugin %s", name):
            raise RuntimeError("a plugin in shadow cannot replace another one")
        await self._core.replace_plugin(name, plugin, policy)

    def stop(self, reason: str = "") -> None:
        """End the server gracefully; `serve` returns within `shutdown_timeout`. Everyone is told `reason`.

        A server that is still starting stops starting: the plugin that is being entered is cancelled.
        """
        if not self._core.shutdown.requested.is_set() and not is_withheld("stopped the server: %s", reason):
            self._core.shutdown.request(reason)

    def resume_after(self, id: int) -> None:
        """Give all messages greater ids than `id`, the last of an earlier run. For plugins that keep the history."""
        self._core.broadcaster.resume_after(id)

    def attach(self, stream: trio.abc.Stream, address: str) -> None:
        """Serve a client over `stream`, as if it had connected from `address`.

        Raises `RuntimeError` if the server is not running, or if the caller is a plugin in shadow.
        """
        if is_withheld("attached a client from %s", address):
            raise RuntimeError("a plugin in shadow cannot attach a client")
        self._core.attach(stream, address)

    async def serve_stream(self, stream: trio.abc.Stream, address: str) -> None:
        """Serve a client over `stream`, as `attach` does, and return when it has gone.

        So `trio.serve_listeners` can serve any listener of Trio: its handler awaits this. The stream is closed then. If
        the caller is cancelled, the client is told to leave, as at a stop: it has gone within 60 % of
        `shutdown_timeout`, and only then does the cancellation get through. When the server stops, this returns.

        The client's task is the server's, and the caller waits for it. The server cannot end before its clients have,
        because plugins are told of each departure and the log has it; only its own nursery can hold it up.

        Raises `RuntimeError` if the server is not running, or if the caller is a plugin in shadow. The stream is then
        still the caller's to close.
        """
        if is_withheld("served a client from %s", address):
            raise RuntimeError("a plugin in shadow cannot serve a client")
        await self._core.serve_stream(stream, address)

    async def serve(self, *, task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the server until `stop` is called, and report where it listens when it does.

        It does not report where listeners of plugins listen. If it is stopped before that, it reports that it listens
        nowhere, and leaves the plugins that it has entered. Raises `StartError` or `PluginError` if it cannot start.
        Cancelling it is as graceful as stopping it: it ends within `shutdown_timeout`, every client leaves, every
        plugin is told, the log is whole. A server serves once: calling this again raises `RuntimeError`.
        """
        with one_for_all():
            await self._core.serve(task_status)


def _speech(room: str, text: str, sender: str) -> Message:
    """Return what the server says, or a bot. Raises `TypeError` and `ValueError`."""
    require(room, str, "the name of a room must be a string")
    require(text, str, "what the server says must be a string")
    require(sender, str, "the name of a bot must be a string")
    if not sender:
        return Message(text, rooms=(room,), kind="notice")
    try:
        return Message(text, nicknames.prepare(sender), (room,), "noticed")
    except nicknames.InvalidName as invalid:
        raise ValueError(f"{sender!r} cannot be the name of a bot: {invalid}") from None


def core_of(server: Server) -> Core:
    """Return what a server is made of, for code that runs, watches or tests one."""
    return server._core
