"""The items that are on their way to the broadcaster, and the batch that it makes of them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import trio

from trichat._base.errors import NotSent
from trichat._base.messages import Message
from trichat._chat.client import Connection
from trichat._chat.person import Presence

Said = list[tuple[Message, Connection | None]]
"""Messages in a row, each with the client that said it, if one did."""


class Join:
    """A client on its way into a room. When `done` is set, it has a `cursor` or a `failure`, or the client is gone.

    A client that can only be in one room leaves `former` when it is in the new one.
    """

    def __init__(self, connection: Connection, room: str, former: str = "") -> None:
        self.connection = connection
        self.room = room
        self.former = former
        self.done = trio.Event()
        self.cursor = 0
        self.failure: NotSent | None = None


class Publication:
    """A message whose sender waits. When `done` is set, it has its `place`, or there is a `failure`, or neither:
    then the server has ended.
    """

    def __init__(self, message: Message, sender: Connection | None) -> None:
        self.message = message
        self.sender = sender
        self.done = trio.Event()
        self.place: Message | None = None
        """The message as it was sent, with its id."""
        self.failure: NotSent | None = None


class Rename:
    """A person on the way to another name, which is held. When `done` is set, it has it, or there is a `failure`."""

    def __init__(self, presence: Presence, name: str) -> None:
        self.presence = presence
        self.name = name
        self.done = trio.Event()
        self.failure: NotSent | None = None


class Departure(msgspec.Struct, frozen=True):
    """A person who has left rooms: all of them for good, or one."""

    presence: Presence
    rooms: tuple[str, ...]
    kind: Literal["left", "quit"]
    reason: str = ""


class Flush:
    """Somebody waits until everything ahead of this is sent."""

    def __init__(self) -> None:
        self.done = trio.Event()


Item = Said | Publication | Join | Rename | Flush | None
"""`None` only wakes the broadcaster: somebody left, or it has to finish what a sender began."""


class Batch(msgspec.Struct):
    """What is logged with one write, and sent with one send to each member."""

    said: Said = []
    publications: dict[int, Publication] = {}
    """Those among what was said whose senders wait, by their places there."""
    renames: list[Rename] = []
    new_names: dict[Presence, str] = {}
    left: list[Departure] = []
    joins: list[Join] = []
    waiting: list[trio.Event] = []
    """To be set when the batch was sent, or cannot be."""
    placed: Sequence[Message] = ()
    """What comes of it, at its place in the order: what was said, and then the changes."""

    def add(self, item: Item) -> None:
        """Add an item, after the others of its kind."""
        match item:
            case list():
                self.said += item
            case Publication():
                self.publications[len(self.said)] = item
                self.waiting.append(item.done)
                self.said.append((item.message, item.sender))
            case Join() if item.connection.ended:
                self.waiting.append(item.done)  # it is not announced, but its session waits
            case Join():
                self.joins.append(item)
            case Rename():
                self.renames.append(item)
                self.new_names[item.presence] = item.name
            case Flush():
                self.waiting.append(item.done)

    @property
    def has_changes(self) -> bool:
        """Whether anyone comes, leaves, or has another name."""
        return bool(self.left or self.joins or self.renames)

    def name_of(self, presence: Presence) -> str:
        """Return the name that somebody has as soon as the renames are told: those come before other changes."""
        return self.new_names.get(presence, presence.name)

    def senders(self) -> Mapping[int, Connection]:
        """Return which client said a message, by the id of the message."""
        said = zip(self.placed, self.said)  # noqa: B905 - the changes follow
        return {message.id: sender for message, (_, sender) in said if sender is not None}

    def settle(self) -> None:
        """Wake everybody who waits for it."""
        for done in self.waiting:
            done.set()
