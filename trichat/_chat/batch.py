"""The items that are on their way to the broadcaster, and the batch that it makes of them."""

import msgspec
import trio

from trichat._base.errors import RequiredPluginFailed
from trichat._base.messages import Message
from trichat._chat.client import Connection

Said = list[tuple[Message, Connection | None]]
"""Messages in a row, each with the client that said it, if one did."""


class Join:
    """A client on its way into a room. When `done` is set, it has a `cursor` or a `failure`, or the client is gone."""

    def __init__(self, connection: Connection, room: str) -> None:
        self.connection = connection
        self.room = room
        self.message = Message("", connection.name, (room,), "joined")
        self.done = trio.Event()
        self.cursor = 0
        self.failure: RequiredPluginFailed | None = None


class Flush:
    """Somebody waits until everything ahead of this is sent."""

    def __init__(self) -> None:
        self.done = trio.Event()


Item = Said | Join | Flush | None
"""`None` only wakes the broadcaster: somebody left, or it has to finish what a sender began."""


class Batch(msgspec.Struct):
    """What is logged with one write, and sent with one send to each member."""

    said: Said = []
    left: list[Message] = []
    """The departures."""
    joins: list[Join] = []
    waiting: list[trio.Event] = []
    """To be set when the batch was sent, or cannot be."""

    def add(self, item: Item) -> None:
        """Add an item, after the others of its kind."""
        match item:
            case list():
                self.said += item
            case Join() if item.connection.ended:
                self.waiting.append(item.done)  # it is not announced, but its session waits
            case Join():
                self.joins.append(item)
            case Flush():
                self.waiting.append(item.done)

    def drafts(self) -> list[Message]:
        """Return its messages, not numbered yet: what was said, then departures, then joins."""
        drafts = [message for message, _ in self.said]
        if self.left or self.joins:
            drafts += self.left
            drafts += [join.message for join in self.joins]
        return drafts

    def settle(self) -> None:
        """Wake everybody who waits for it."""
        for done in self.waiting:
            done.set()
