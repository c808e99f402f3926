"""Who is here, and in which room.

The hub never awaits, so nobody ever finds it half changed. It alone changes a client's name and room.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from trichat._base import nicknames
from trichat._base.messages import Message
from trichat._base.name_index import NameIndex
from trichat._chat.client import Connection
from trichat._fronts.front import Wire
from trichat._net.outbox import Outbox


class Audience(NamedTuple):
    """The clients that see a message."""

    size: int
    groups: Mapping[Wire, Sequence[Outbox]]
    """Their outboxes, by wire: those of a group are sent the same bytes."""


class Hub:
    """The clients, their names and their rooms."""

    def __init__(self, *, max_clients: int, max_clients_per_address: int) -> None:
        self._max_clients = max_clients
        self._max_clients_per_address = max_clients_per_address
        self._clients: dict[Connection, None] = {}
        self._per_address: Counter[str] = Counter()
        self._names: NameIndex[Connection] = NameIndex()
        self._rooms: dict[str, dict[Connection, None]] = {}
        self._audiences: dict[tuple[str, ...], Audience] = {}
        """Of the rooms in which somebody spoke since somebody last came or went."""

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

    def claim(self, connection: Connection, name: str) -> bool:
        """Give a client this prepared name, unless another one has it. A name that it had before becomes free."""
        if not self._names.claim(name, connection):
            return False
        if connection.name not in ("", name):
            self.release(connection)
        connection.name = name
        if connection.room:
            _make_draft(connection)
        return True

    def release(self, connection: Connection) -> None:
        """Let others have the client's name, if it is the one that has it. The client is still known by it."""
        if connection.name:
            self._names.release(connection.name, connection)

    def find(self, text: str) -> Connection | None:
        """Return the client that has the name which `text` asks for, in whatever way it is written."""
        try:
            return self._names.find(nicknames.prepare(text))
        except nicknames.InvalidName:
            return None

    def take_back(self, connection: Connection) -> None:
        """Take the client's name away: a plugin refused it."""
        self.release(connection)
        connection.name = ""

    def enter(self, connection: Connection, room: str) -> None:
        """Put the client into a room, and take it out of the one that it was in."""
        self.leave(connection)
        self._rooms.setdefault(room, {})[connection] = None
        self._audiences.pop((room,), None)
        connection.room = room
        _make_draft(connection)

    def leave(self, connection: Connection) -> None:
        """Take the client out of its room, if it is in one."""
        if connection.room:
            members = self._rooms[connection.room]
            del members[connection]
            if not members:
                del self._rooms[connection.room]
            self._audiences.pop((connection.room,), None)
            connection.room = ""

    def anyone(self) -> Sequence[Connection | str]:
        """Return everyone who is still known here: by place, address, name or room."""
        places = [f"{len(self._clients)} places"] if self._clients else []
        in_rooms = (connection for room in self._rooms.values() for connection in room)
        return [*places, *self._per_address, *self._names.owners(), *in_rooms]

    def clients(self) -> Sequence[Connection]:
        """Return the clients in the order of arrival, without those that are on their way out."""
        return [connection for connection in self._clients if not connection.ended]

    def rooms(self) -> Sequence[str]:
        """Return the rooms that somebody is in."""
        return list(self._rooms)

    def members(self, room: str, at_most: int | None = None) -> Sequence[Connection]:
        """Return the members of a room in the order of joining: all, or the first `at_most`."""
        return list(islice(self._rooms.get(room, ()), at_most))

    def audience(self, rooms: tuple[str, ...]) -> Audience:
        """Return where a message to these rooms goes now. Nobody gets it twice."""
        audience = self._audiences.get(rooms)
        if audience is None:
            members = dict.fromkeys(chain.from_iterable(self._rooms.get(room, ()) for room in rooms))
            audience = _audience(members)
            # Walking through the members for each message would cost nearly as much as sending it to them.
            if members and len(rooms) == 1:
                self._audiences[rooms] = audience
        return audience

    def count(self, room: str) -> int:
        """Return how many are in the room now."""
        return len(self._rooms.get(room, ()))


def _make_draft(connection: Connection) -> None:
    connection.draft = Message("", connection.name, (connection.room,), bare=True)


def _audience(members: Collection[Connection]) -> Audience:
    groups: dict[Wire, list[Outbox]] = {}
    for connection in members:
        groups.setdefault(connection.wire, []).append(connection.outbox)
    return Audience(len(members), groups)
