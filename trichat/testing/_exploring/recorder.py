"""A plugin that records clients and messages for the invariants."""

from collections import Counter
from collections.abc import Sequence

from trichat._base.messages import Message
from trichat._chat.client import Client
from trichat.hookspecs import hookimpl


class Witness:
    """Records the clients that connect and disconnect, and the messages that are sent."""

    # It is called first in on_connect and last in on_broadcast, so no other plugin can stop what it records.
    def __init__(self) -> None:
        self.connected: Counter[Client] = Counter()
        self.disconnected: Counter[Client] = Counter()
        self.batches: list[Sequence[Message]] = []
        """The messages that were sent, batch by batch."""

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
        """Keep the batch."""
        self.batches.append(messages)

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        """Count the client."""
        self.disconnected[client] += 1
