"""A client, as plugins see it."""

from typing import TYPE_CHECKING, Any

import trio

from trichat._base.messages import Message
from trichat._fronts.wire import Wire
from trichat._net.outbox import Outbox
from trichat._plugins.shadow import is_withheld

if TYPE_CHECKING:
    from trichat._server import Server


class Client:
    """One connection, and the person or bot behind it. Whatever is done to it returns at once."""

    __slots__ = (
        "_address",
        "_conversation",
        "_draft",
        "_farewell",
        "_name",
        "_outbox",
        "_reason",
        "_room",
        "_wire",
        "data",
        "server",
    )

    _outbox: Outbox
    _draft: Message
    """What it says to its room, but for the text: to copy that takes two thirds of what a new message does. The hub
    makes it; before the client enters a room, there is none."""

    def __init__(self, server: "Server", address: str, wire: Wire) -> None:
        self.server = server
        """The server that it is connected to."""
        self.data: dict[str, Any] = {}
        """What plugins keep of it, each under its own name. It goes with the client."""
        self._address = address
        self._name = ""
        self._room = ""
        self._wire = wire
        self._conversation = trio.CancelScope()
        """What the client asks and is answered; ending it leaves time to say goodbye."""
        self._reason: str | None = None
        self._farewell = ""

    @property
    def address(self) -> str:
        """Its IP address."""
        return self._address

    @property
    def name(self) -> str:
        """Its user name; empty until it has one."""
        return self._name

    @property
    def room(self) -> str:
        """The room that it is in; empty while it is in none."""
        return self._room

    @property
    def is_operator(self) -> bool:
        """Whether it may do what not everyone may: it is connected from an address of an operator."""
        return any(self.address in network for network in self.server.options.operators)

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address

    def __repr__(self) -> str:
        return f"<Client {self}>"

    @property
    def ended(self) -> bool:
        """Whether it is on its way out: nothing that it sends is taken any more."""
        return self._reason is not None

    def send(self, text: str) -> None:
        """Say something to this client alone; each line of `text` reaches it behind `* `."""
        if not isinstance(text, str):
            raise TypeError(f"what a client is sent is text, not {text!r}")
        if not is_withheld("sent %s: %s", self, text):
            self._outbox.put(self._wire.encode_notice(text))

    def kick(self, reason: str) -> None:
        """Disconnect it. It is told `reason`, and so is `on_disconnect`; the room hears that it left."""
        if not is_withheld("kicked %s: %s", self, str(reason)):
            self._end(reason, farewell=reason)

    def _end(self, reason: str, *, farewell: str = "") -> None:
        """End the conversation; the first reason stays."""
        if self._reason is None:
            # A plugin may well pass the exception that it caught.
            self._reason = str(reason)
            self._farewell = str(farewell)
            self._conversation.cancel()
