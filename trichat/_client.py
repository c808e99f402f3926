"""A client, as plugins see it."""

from typing import TYPE_CHECKING

import trio

from trichat._outbox import Outbox
from trichat.wires import Wire

if TYPE_CHECKING:
    from trichat._server import Server


class Client:
    """One connection, and the person or bot behind it. Whatever is done to it returns at once."""

    __slots__ = ("_conversation", "_farewell", "_outbox", "_reason", "_wire", "address", "name", "room", "server")

    _outbox: Outbox

    def __init__(self, server: "Server", address: str, wire: Wire) -> None:
        self.server = server
        """The server that it is connected to."""
        self.address = address
        """Its IP address."""
        self.name = ""
        """Its user name; empty until it has one."""
        self.room = ""
        """The room that it is in; empty while it is in none."""
        self._wire = wire
        self._conversation = trio.CancelScope()
        """What the client asks and is answered; ending it leaves time to say goodbye."""
        self._reason: str | None = None
        self._farewell = ""

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
        self._outbox.put(self._wire.encode_notice(text))

    def kick(self, reason: str) -> None:
        """Disconnect it. It is told `reason`, and so is `on_disconnect`; the room hears that it left."""
        self._end(reason, farewell=reason)

    def _end(self, reason: str, *, farewell: str = "") -> None:
        """End the conversation; the first reason stays."""
        if self._reason is None:
            self._reason = reason
            self._farewell = farewell
            self._conversation.cancel()
