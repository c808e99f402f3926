"""Clients without a session, for tests of code that handles clients."""

from typing import cast

from trichat import Client, Message, Server
from trichat._chat.client import Connection
from trichat._fronts.front import Front, Limits
from trichat._fronts.line.front import LineFront
from trichat._net.outbox import Outbox
from trichat.testing._chat.memory_transport import MemoryTransport, Pipe

FRONT = LineFront()
"""The line protocol."""


class OtherFront(LineFront):
    """Speaks the line protocol under another name, as a front for a browser or IRC would have one."""

    name = "other"


OTHER_FRONT = OtherFront()
WIRE = FRONT.dialogue(Limits(4096)).wire


class BoxOutbox(Outbox):
    """An outbox that only keeps what is put."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self._direct = None

    def put(self, data: bytes) -> None:
        self.chunks.append(data)

    @property
    def lines(self) -> list[str]:
        return b"".join(self.chunks).decode().splitlines()


def new_outbox() -> Outbox:
    """Return an outbox whose other side takes everything."""
    transport = MemoryTransport(Pipe(), Pipe(), "127.0.0.1")
    return Outbox(transport, limit=1 << 20, send_timeout=60, give_up=lambda _: None)


def new_connection(
    server: Server | None = None,
    address: str = "127.0.0.1",
    *,
    name: str = "",
    front: Front = FRONT,
    outbox: Outbox | None = None,
) -> Connection:
    """Return what the core keeps of a client. Pass a server only if the test needs one."""
    dialogue = front.dialogue(Limits(4096))
    connection = Connection(cast("Server", server), address, front.name, dialogue, outbox or new_outbox())
    connection.name = connection.presence.name = name
    return connection


def new_client(
    server: Server | None = None, address: str = "127.0.0.1", *, name: str = "", front: Front = FRONT
) -> Client:
    """Return a client as plugins see it."""
    return new_connection(server, address, name=name, front=front).client


class ListeningClient(Client):
    """A client that keeps what it is sent."""

    def __init__(self, server: Server, name: str, address: str = "127.0.0.1") -> None:
        super().__init__(server, new_connection(server, address, name=name))
        self.heard: list[str] = []

    def send(self, text: str) -> None:
        self.heard.append(text)


class Reader:
    """Wants to see everything, unless it ignores somebody."""

    def __init__(self, *ignored: str) -> None:
        self.wire = WIRE
        self.ignored = ignored

    def as_seen(self, message: Message) -> Message | None:
        return None if message.sender in self.ignored else message
