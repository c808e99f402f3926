"""A plugin that records clients, messages, and private lines for the invariants."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trichat._base.messages import Message
from trichat._chat.client import Client
from trichat._chat.person import Person
from trichat.hookspecs import hookimpl


class PrivateLine(NamedTuple):
    """What somebody told one person alone, with the names that the two had then."""

    sender: str
    receiver: str
    text: str


class Witness:
    """Records the clients that connect and disconnect, the messages that are sent, and private lines."""

    # It is called first in on_connect, and last in on_broadcast and on_tell: no other plugin can stop what it records.
    def __init__(self) -> None:
        self.connected: Counter[Client] = Counter()
        self.disconnected: Counter[Client] = Counter()
        self.batches: list[Sequence[Message]] = []
        """The messages that were sent, batch by batch."""
        self.told: list[PrivateLine] = []
        """The private lines, as they were told."""
        self.confused: list[str] = []
        """Clients whose name led to somebody else when a batch was sent."""

    @property
    def sent(self) -> list[Message]:
        """All messages that were sent, in their order."""
        return [message for batch in self.batches for message in batch]

    @hookimpl(tryfirst=True)
    def on_connect(self, client: Client) -> None:
        """Count the client."""
        self.connected[client] += 1

    @hookimpl(trylast=True)
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Keep the batch, and see whether everybody is found by name."""
        self.batches.append(messages)
        self.confused += self._not_found()

    def _not_found(self) -> Iterator[str]:
        for client in self.connected:
            if client.name and not client.ended:
                found = client.server.find(client.name)
                if found is not client.person:
                    yield f"{client} has the name {client.name!r}, which leads to {found!r}"

    @hookimpl(trylast=True)
    def on_tell(self, client: Client, other: Person, text: str) -> None:
        """Keep the line."""
        self.told.append(PrivateLine(client.name, other.name, text))

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        """Count the client."""
        self.disconnected[client] += 1
