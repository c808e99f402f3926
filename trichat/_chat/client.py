"""A client, twice: what the core keeps of it, and what a plugin is given in its place."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import trio

from trichat._base.messages import Message, Refuse
from trichat._chat.ignoring import NOBODY, IgnoreList
from trichat._chat.person import Person, Presence
from trichat._fronts.front import Dialogue, Wire
from trichat._net.outbox import Outbox
from trichat._plugins.shadow import is_withheld

if TYPE_CHECKING:
    from trichat._server import Server

logger = logging.getLogger("trichat.session")

_NOTHING_SAID = Message("")

Kind = Literal["said", "did", "noticed", "topic"]
"""The kinds of what a client may say."""


class ClientActions(Protocol):
    """What the session of a client does for it."""

    async def enter(self, room: str, key: str) -> Refuse | None:
        """Let the client enter the room that `room` names; return why it may not."""

    async def leave(self, room: str, reason: str) -> Refuse | None:
        """Let the client leave a room, and stay in others; return why it may not."""

    async def say(self, text: str, room: str, kind: Kind) -> Message | Refuse | None:
        """Say something in a room, once all plugins were asked about it; return what was sent, or why nothing was."""

    async def tell(self, name: str, text: str) -> Message | Refuse | None:
        """Say something to one person, once all plugins were asked about it; return what was sent, or why not."""

    async def rename(self, name: str) -> Refuse | None:
        """Give the person another name; return why it may not have it."""

    async def set_away(self, text: str) -> Refuse | None:
        """Note why the person is away; return why this was refused."""

    async def quit(self, reason: str) -> None:
        """Let the client leave the chat, for a reason that its rooms are told."""

    def ignore(self, name: str) -> Refuse | None:
        """Show the client nothing more of what somebody says; return why not."""

    def unignore(self, name: str) -> Refuse | None:
        """Show the client again what somebody says; return why not."""


class Connection:
    """What the core keeps of one client. Only the core touches it; plugins are given its `client`.

    The hub alone writes `presence`, `name`, `room`, `rooms`, `draft` and `ignored`.
    """

    __slots__ = (
        "address",
        "arrived",
        "client",
        "conversation",
        "dialogue",
        "draft",
        "farewell",
        "finishing",
        "front",
        "ignored",
        "mover",
        "name",
        "outbox",
        "parting",
        "presence",
        "reason",
        "room",
        "rooms",
        "session",
    )

    def __init__(
        self,
        server: "Server",
        address: str,
        front: str,
        dialogue: Dialogue,
        outbox: Outbox,
        session: ClientActions | None = None,
    ) -> None:
        self.address: str = address
        self.front: str = front
        """The name of its front."""
        self.dialogue: Dialogue = dialogue
        self.outbox: Outbox = outbox
        self.session: ClientActions | None = session
        """The task that serves it; `None` for a stand-in that nobody serves."""
        self.presence: Presence = Presence(self)
        """The person whose connection it is."""
        self.name: str = ""
        self.rooms: tuple[str, ...] = ()
        """The rooms that it is in, in the order of entering."""
        self.room: str = ""
        """The room that it speaks in: of those that it is in, the one that it entered last."""
        self.draft: Message = _NOTHING_SAID
        """A bare message of this client to its room, without its text: copying it takes two thirds of the time that
        making a message does. Meaningless until the client is in a room."""
        self.ignored: IgnoreList = NOBODY
        """The people whose words it does not want to see."""
        self.mover: trio.lowlevel.Task | None = None
        """The task that moves it to another room, while it does. It would wait for itself if it moved it again."""
        self.arrived: bool = False
        """Whether its login was answered: it has a name, and has entered a room if it wanted to."""
        self.conversation: trio.CancelScope = trio.CancelScope()
        """What the client asks and is answered. Ending it leaves time to say goodbye."""
        self.finishing: trio.CancelScope | None = None
        """The scope of something that only the end of the client may cut short."""
        self.reason: str | None = None
        """Why the conversation ended; `None` while it lasts."""
        self.farewell: str = ""
        self.parting: str = ""
        """What its rooms are told as the reason, if it has given one."""
        self.client: Client = Client(server, self)

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address

    @property
    def wire(self) -> Wire:
        """How it is sent messages."""
        return self.dialogue.wire

    @property
    def has_joined(self) -> bool:
        """Whether it may do what people do: it has a name that plugins have agreed to."""
        return self.arrived or bool(self.rooms)

    @property
    def ended(self) -> bool:
        """Whether the conversation is over: the client is on its way out."""
        return self.reason is not None

    def as_seen(self, message: Message) -> Message | None:
        """Return what the client wants to see of a message: of somebody it ignores, no words, only coming and going."""
        if not self.ignored or not self.ignored.covers(message):
            return message
        if message.kind in ("said", "did", "noticed"):
            return None
        return message.with_text("") if message.kind in ("left", "quit") else message

    def notice(self, text: str) -> None:
        """Say something to this client alone, as the server."""
        self.show(Message(text, rooms=(), kind="notice"))

    def show(self, message: Message) -> None:
        """Send a message to this client alone. If its front cannot encode it, the client is disconnected."""
        try:
            self.outbox.put(self.wire.encode((message,)))
        except (Exception, SystemExit):
            logger.exception("%s: its front cannot encode a message", self)
            self.end("an error in the server", farewell="disconnected: an error in the server")

    def end(self, reason: str, *, farewell: str = "") -> None:
        """End the conversation; the first reason stays."""
        if self.reason is None:
            # A plugin may well pass the exception that it caught.
            self.reason = str(reason)
            self.farewell = str(farewell)
            self.conversation.cancel()
            if self.finishing is not None:
                self.finishing.cancel()

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let nothing cut the block short but the end of the client; all that waits in it has a deadline."""
        with trio.CancelScope(shield=True) as self.finishing:
            if self.ended:
                self.finishing.cancel()
            try:
                yield
            finally:
                self.finishing = None


class Client:
    """One connection, and the person or bot at its other end. What is not marked `async` never waits."""

    __slots__ = ("_connection", "data", "server")

    def __init__(self, server: "Server", connection: Connection) -> None:
        self._connection = connection
        self.server: Server = server
        """The server that it is connected to."""
        self.data: dict[str, Any] = {}
        """What plugins keep about it, each under its own name. It is gone when the client is."""

    @property
    def address(self) -> str:
        """Its IP address, or another text if it has none, such as `unix:1000`. The latter is in no `Network`."""
        return self._connection.address

    @property
    def front(self) -> str:
        """The front that it came in by: `"line"` for the line protocol."""
        return self._connection.front

    @property
    def name(self) -> str:
        """Its user name; empty until it has one."""
        return self._connection.name

    @property
    def person(self) -> Person:
        """The person whose connection it is."""
        return self._connection.presence.person

    @property
    def room(self) -> str:
        """The room that it speaks in, the one that it entered last; empty while it is in none."""
        return self._connection.room

    @property
    def rooms(self) -> Sequence[str]:
        """The rooms that it is in, in the order of entering. A client of the line protocol is in one at a time."""
        return self._connection.rooms

    @property
    def is_operator(self) -> bool:
        """Whether it is an operator: whether it may `"operate"`."""
        return self.may("operate")

    def may(self, action: str, room: str = "") -> bool:
        """Return whether it may do something, such as `"kick"`, in a room; `room` is empty for the whole server.

        `server.refusal` returns why not.
        """
        return self.server.refusal(self, action, room) is None

    def __str__(self) -> str:
        return str(self._connection)

    def __repr__(self) -> str:
        return f"<Client {self}>"

    @property
    def ended(self) -> bool:
        """Whether it is on its way out: nothing that it sends is accepted any more."""
        return self._connection.ended

    @property
    def ignored(self) -> Sequence[str]:
        """The names of people whose words it is not shown."""
        return self._connection.ignored.names

    async def enter(self, room: str, key: str = "") -> Refuse | None:
        """Let it enter a room, and send it the history of that room; return why it may not.

        A client that is in one room at a time leaves its former room when it is in the new one. Raises `RuntimeError`
        if it has not joined yet; so do the methods below.
        """
        if is_withheld("moved %s to %s", self, room):
            await trio.lowlevel.checkpoint()
            return None
        return await self._session().enter(room, key)

    async def leave(self, room: str, reason: str = "") -> Refuse | None:
        """Let it leave a room, and tell the others the reason; return why it may not.

        A client that is in one room at a time cannot leave it: it enters another one, or quits.
        """
        if is_withheld("moved %s out of %s", self, room):
            await trio.lowlevel.checkpoint()
            return None
        return await self._session().leave(room, reason)

    async def say(self, text: str, room: str = "", *, kind: Kind = "said") -> Message | Refuse | None:
        """Say something in a room that it is in, as if it had been typed: plugins are asked about it.

        Without a `room`, it is said in the one that the client speaks in. Returns the message as it was sent, with its
        id, or why it was refused; `None` if a plugin has handled it.
        """
        if is_withheld("made %s say %s", self, text):
            await trio.lowlevel.checkpoint()
            return None
        if kind not in get_args(Kind):
            raise ValueError(f"a client can say {', '.join(get_args(Kind))}, not {kind!r}")
        return await self._session().say(text, room, kind)

    async def tell(self, name: str, text: str) -> Message | Refuse | None:
        """Say something to one person alone: plugins are asked about it (the hook `on_tell`), and no log has it.

        Returns the private line as it was sent, or why it was refused; `None` if a plugin has handled it.
        """
        if is_withheld("made %s tell %s something", self, name):
            await trio.lowlevel.checkpoint()
            return None
        return await self._session().tell(name, text)

    async def rename(self, name: str) -> Refuse | None:
        """Give the person another name, and tell everyone who shares a room; return why it may not have it."""
        if is_withheld("renamed %s to %s", self, name):
            await trio.lowlevel.checkpoint()
            return None
        return await self._session().rename(name)

    async def set_away(self, text: str) -> Refuse | None:
        """Note why the person is away, or with an empty `text` that it is back; return why a plugin refused it."""
        if is_withheld("noted that %s is away: %s", self, text):
            await trio.lowlevel.checkpoint()
            return None
        return await self._session().set_away(text)

    async def quit(self, reason: str = "") -> None:
        """Let it leave the chat with a goodbye, and tell its rooms the reason, unless a plugin refuses that."""
        if is_withheld("made %s quit: %s", self, reason):
            await trio.lowlevel.checkpoint()
            return
        await self._session().quit(reason)

    def ignore(self, name: str) -> Refuse | None:
        """Show it nothing more of what somebody says, in rooms, in private or in the history; return why not."""
        if is_withheld("made %s ignore %s", self, name):
            return None
        return self._session().ignore(name)

    def unignore(self, name: str) -> Refuse | None:
        """Show it again what somebody says; return why not."""
        if is_withheld("made %s no longer ignore %s", self, name):
            return None
        return self._session().unignore(name)

    def _session(self) -> ClientActions:
        session = self._connection.session
        if session is None or not self._connection.has_joined:
            raise RuntimeError(f"{self} has not joined yet; wait until it has")
        return session

    def send(self, text: str) -> None:
        """Say something to this client alone; each line of `text` arrives with `* ` in front of it."""
        if not isinstance(text, str):
            raise TypeError(f"a client is sent text, not {text!r}")
        if not is_withheld("sent %s: %s", self, text):
            self._connection.notice(text)

    def kick(self, reason: str) -> None:
        """Disconnect it. It is told `reason`, and so is `on_disconnect`; the room hears that it left."""
        if not is_withheld("kicked %s: %s", self, str(reason)):
            self._connection.end(reason, farewell=reason)
