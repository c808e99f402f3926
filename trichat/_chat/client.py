"""A client, twice: what the core keeps of it, and what a plugin is given in its place."""

from typing import TYPE_CHECKING, Any

import trio

from trichat._base.messages import Message
from trichat._fronts.front import Dialogue, Wire
from trichat._net.outbox import Outbox
from trichat._plugins.shadow import is_withheld

if TYPE_CHECKING:
    from trichat._server import Server

_NOTHING_SAID = Message("")


class Connection:
    """What the core keeps of one client. Only the core touches it; plugins are given its `client`.

    The hub alone writes `name`, `room` and `draft`.
    """

    __slots__ = (
        "address",
        "client",
        "conversation",
        "dialogue",
        "draft",
        "farewell",
        "front",
        "name",
        "outbox",
        "reason",
        "room",
    )

    def __init__(self, server: "Server", address: str, front: str, dialogue: Dialogue, outbox: Outbox) -> None:
        self.address: str = address
        self.front: str = front
        """The name of its front."""
        self.dialogue: Dialogue = dialogue
        self.outbox: Outbox = outbox
        self.name: str = ""
        self.room: str = ""
        self.draft: Message = _NOTHING_SAID
        """A bare message of this client to its room, without its text: copying it takes two thirds of the time that
        making a message does. Meaningless until the client is in a room."""
        self.conversation: trio.CancelScope = trio.CancelScope()
        """What the client asks and is answered. Ending it leaves time to say goodbye."""
        self.reason: str | None = None
        """Why the conversation ended; `None` while it lasts."""
        self.farewell: str = ""
        self.client: Client = Client(server, self)

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address

    @property
    def wire(self) -> Wire:
        """How it is sent messages."""
        return self.dialogue.wire

    @property
    def ended(self) -> bool:
        """Whether the conversation is over: the client is on its way out."""
        return self.reason is not None

    def notice(self, text: str) -> None:
        """Say something to this client alone, as the server."""
        self.outbox.put(self.wire.encode([Message(text, rooms=(), kind="notice")]))

    def end(self, reason: str, *, farewell: str = "") -> None:
        """End the conversation; the first reason stays."""
        if self.reason is None:
            # A plugin may well pass the exception that it caught.
            self.reason = str(reason)
            self.farewell = str(farewell)
            self.conversation.cancel()


class Client:
    """One connection, and the person or bot at its other end. None of its methods waits."""

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
    def room(self) -> str:
        """The room that it is in; empty while it is in none."""
        return self._connection.room

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
