"""Who is here, and in which room.

The hub never awaits, so nobody ever finds it half changed. It alone changes a client's name and rooms.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from trichat._base import nicknames
from trichat._base.messages import LOBBY, Message
from trichat._base.name_index import NameIndex
from trichat._chat.client import Connection
from trichat._chat.ignoring import IgnoreList
from trichat._chat.person import Presence
from trichat._fronts.front import Wire
from trichat._net.outbox import Outbox


class Audience(NamedTuple):
    """The clients that see a message."""

    size: int
    groups: Mapping[Wire, Sequence[Outbox]]
    """Their outboxes, by wire: those of a group are sent the same bytes."""
    selective: Sequence[Connection]
    """Clients that are in no group, because they ignore somebody: each is sent what it wants to see."""
    is_uniform: bool
    """Whether all are sent the same messages: nobody ignores anyone, and everyone is sent its own."""


class _Room:
    """Who is in one room."""

    def __init__(self) -> None:
        self.connections: dict[Connection, None] = {}
        self.people = Counter[Presence]()
        """The people, each with the number of connections that are here."""


class Hub:
    """The clients, the people that they are, and their rooms."""

    def __init__(self, *, max_clients: int, max_clients_per_address: int) -> None:
        self._max_clients = max_clients
        self._max_clients_per_address = max_clients_per_address
        self._clients: dict[Connection, None] = {}
        self._per_address: Counter[str] = Counter()
        self._names: NameIndex[Presence] = NameIndex()
        self._rooms: dict[str, _Room] = {}
        self._audiences: dict[tuple[str, ...], Audience] = {}
        """Of the rooms in which somebody spoke since somebody last came or went."""
        self._ignoring: set[Connection] = set()
        self._topics: dict[str, Message] = {}

    def admit(self, connection: Connection) -> str | None:
        """Make room for a connection, until `dismiss`; or return why there is none."""
        if len(self._clients) >= self._max_clients:
            return f"the server is full ({self._max_clients} clients)"
        if self._per_address[connection.address] >= self._max_clients_per_address:
            return f"too many connections from {connection.address} ({self._max_clients_per_address})"
        self._clients[connection] = None
        self._per_address[connection.address] += 1
        return None

    def dismiss(self, connection: Connection) -> None:
        """Give up the place that `admit` gave."""
        del self._clients[connection]
        self._per_address[connection.address] -= 1
        if not self._per_address[connection.address]:
            del self._per_address[connection.address]

    def claim(self, connection: Connection, name: str, account: str = "") -> bool:
        """Give a client this prepared name, unless another one has it. A name that it had before becomes free.

        If the person who has the name has proved to own the same `account`, the client is another connection of that
        person. Without an account, nobody can share a name.
        """
        holder = self._names.find(name)
        if holder is not None and account and holder.account == account:
            connection.presence = holder
            holder.connections += (connection,)
            connection.name = holder.name
            return True
        presence = connection.presence
        if not self._names.claim(name, presence):
            return False
        presence.account = account
        self._rename(presence, name)
        return True

    def hold(self, presence: Presence, name: str) -> bool:
        """Keep another prepared name for a person, until `rename` or `let_go`. Return whether it is free."""
        return self._names.claim(name, presence)

    def rename(self, presence: Presence, name: str, at: int) -> None:
        """Give a person the name that is held for it. The former name becomes free; so does this one after its end.

        `at` is the id of the message that told of it, or a later one.
        """
        self._follow(presence.name, name, at)
        self._rename(presence, name)
        if not presence.connections:
            self._names.release(name, presence)

    def let_go(self, presence: Presence, name: str) -> None:
        """Let others have a name that was held for a person. The person keeps its present name."""
        self._names.release(name, presence)
        if presence.connections:
            self._names.claim(presence.name, presence)  # if it was another spelling of the same name

    def _rename(self, presence: Presence, name: str) -> None:
        if presence.name not in ("", name):
            self._names.release(presence.name, presence)
        presence.name = name
        for connection in presence.connections:
            connection.name = name
            _make_draft(connection)

    def _follow(self, name: str, new_name: str, at: int) -> None:
        for connection in [each for each in self._ignoring if each.ignored.has(name)]:
            self._set_ignored(connection, connection.ignored.after_rename(name, new_name, at))

    def ignore(self, connection: Connection, name: str) -> None:
        """Show a client nothing more of what the person of this prepared name says, also under a later name."""
        self._set_ignored(connection, connection.ignored.with_name(name))

    def unignore(self, connection: Connection, name: str) -> bool:
        """Show a client again what the person of this prepared name says. Return whether it was ignored."""
        if not connection.ignored.has(name):
            return False
        self._set_ignored(connection, connection.ignored.without(name))
        return True

    def _set_ignored(self, connection: Connection, ignored: IgnoreList) -> None:
        connection.ignored = ignored
        if ignored:
            self._ignoring.add(connection)
        else:
            self._ignoring.discard(connection)
        for room in connection.rooms:
            self._audiences.pop((room,), None)

    def release(self, connection: Connection) -> None:
        """Let others have the client's name, if it is the last connection under it. The client is still known by it."""
        presence = connection.presence
        self._ignoring.discard(connection)
        presence.connections = tuple(each for each in presence.connections if each is not connection)
        if presence.name and not presence.connections:
            self._names.release(presence.name, presence)

    def find(self, text: str) -> Presence | None:
        """Return the person who has the name which `text` asks for, in whatever way it is written."""
        try:
            return self._names.find(nicknames.prepare(text))
        except nicknames.InvalidName:
            return None

    def take_back(self, connection: Connection) -> None:
        """Take the client's name away: a plugin refused it."""
        self.release(connection)
        connection.presence = Presence(connection)
        connection.name = ""

    def enter(self, connection: Connection, room: str) -> None:
        """Put the client into a room; from now on it speaks there."""
        if room not in connection.rooms:
            found = self._rooms.setdefault(room, _Room())
            found.connections[connection] = None
            found.people[connection.presence] += 1
            connection.rooms += (room,)
            self._audiences.pop((room,), None)
        connection.room = room
        _make_draft(connection)

    def leave(self, connection: Connection, room: str) -> None:
        """Take the client out of a room, if it is in it."""
        if room not in connection.rooms:
            return
        found = self._rooms[room]
        del found.connections[connection]
        found.people[connection.presence] -= 1
        if not found.people[connection.presence]:
            del found.people[connection.presence]
        if not found.connections:
            del self._rooms[room]
            if room != LOBBY:  # a room that nobody is in is forgotten
                self._topics.pop(room, None)
        connection.rooms = tuple(each for each in connection.rooms if each != room)
        self._audiences.pop((room,), None)
        if connection.room == room:
            connection.room = connection.rooms[-1] if connection.rooms else ""
            _make_draft(connection)

    def is_in(self, presence: Presence, room: str) -> bool:
        """Return whether any connection of a person is in a room."""
        return self.count_of(presence, room) > 0

    def count_of(self, presence: Presence, room: str) -> int:
        """Return how many connections of a person are in a room."""
        return self._rooms[room].people[presence] if room in self._rooms else 0

    def anyone(self) -> Sequence[Connection | Presence | str]:
        """Return everyone who is still known here: by place, address, name or room."""
        places = [f"{len(self._clients)} places"] if self._clients else []
        in_rooms = (connection for room in self._rooms.values() for connection in room.connections)
        return [*places, *self._per_address, *self._names.owners(), *in_rooms]

    def clients(self) -> Sequence[Connection]:
        """Return the clients in the order of arrival, without those that are on their way out."""
        return [connection for connection in self._clients if not connection.ended]

    def rooms(self) -> Sequence[str]:
        """Return the rooms that somebody is in."""
        return list(self._rooms)

    def topic(self, room: str) -> Message | None:
        """Return the message that set the topic of a room, if it has one."""
        message = self._topics.get(room)
        return message if message is not None and message.text else None

    def topics(self) -> Sequence[Message]:
        """Return the messages that set the topics of rooms."""
        return [message for message in self._topics.values() if message.text]

    def set_topic(self, message: Message) -> None:
        """Let a message of the kind `topic` be the topic of its room, unless a later one is."""
        present = self._topics.get(message.room)
        if present is None or present.id < message.id:
            self._topics[message.room] = message

    def members(self, room: str, at_most: int | None = None) -> Sequence[Presence]:
        """Return the people in a room in the order of entering: all, or the first `at_most`."""
        return list(islice(self._rooms[room].people, at_most)) if room in self._rooms else []

    def audience(self, rooms: tuple[str, ...]) -> Audience:
        """Return where a message to these rooms goes now. Nobody gets it twice."""
        audience = self._audiences.get(rooms)
        if audience is None:
            found = [self._rooms[room].connections for room in rooms if room in self._rooms]
            members = dict.fromkeys(chain.from_iterable(found))
            audience = _audience(members)
            # Walking through the members for each message would cost nearly as much as sending it to them.
            if members and len(rooms) == 1:
                self._audiences[rooms] = audience
        return audience

    def count(self, room: str) -> int:
        """Return how many people are in the room now."""
        return len(self._rooms[room].people) if room in self._rooms else 0


def _make_draft(connection: Connection) -> None:
    if connection.room:
        # Nearly everyone is in one room, and has the tuple already.
        room = connection.rooms if len(connection.rooms) == 1 else (connection.room,)
        connection.draft = Message("", connection.name, room, bare=True)


def _audience(members: Collection[Connection]) -> Audience:
    groups: dict[Wire, list[Outbox]] = {}
    selective: list[Connection] = []
    for connection in members:
        if connection.ignored:
            selective.append(connection)
        else:
            groups.setdefault(connection.wire, []).append(connection.outbox)
    is_uniform = not selective and all(wire.echoes for wire in groups)
    return Audience(len(members), groups, selective, is_uniform)
