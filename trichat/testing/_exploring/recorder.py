"""A plugin that sees what the server says of its clients and what it sends, for invariants to look at."""

from collections import Counter
from collections.abc import Sequence

from trichat._base.messages import Message
from trichat._chat.client import Client
from trichat.hookspecs import hookimpl


class Witness:
    """Sees what the server says of its clients and what it sends. First where it asks, last where not."""

    # Called before all others in on_connect, and at the end in on_broadcast: what it has seen there was not held back.
    def __init__(self) -> None:
        self.connected: Counter[Client] = Counter()
        self.disconnected: Counter[Client] = Counter()
        self.batches: list[Sequence[Message]] = []
        """What was sent, batch by batch."""

    @property
    def sent(self) -> list[Message]:
        """All messages that were sent, in that order."""
        return [message for batch in self.batches for message in batch]

    @hookimpl(tryfirst=True)
    def on_connect(self, client: Client) -> None:
        """Count."""
        self.connected[client] += 1

    @hookimpl(trylast=True)
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Note."""
        self.batches.append(messages)

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        """Count."""
        self.disconnected[client] += 1
