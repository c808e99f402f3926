"""Who is here, and in which room.

The hub never awaits, so that nobody ever finds it half changed; and nobody else changes a client's name or room.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from trichat._base import nicknames
from trichat._base.messages import Message
from trichat._chat.client import Client
from trichat._fronts.wire import Wire
from trichat._net.outbox import Outbox


class Hub:
    """The clients, their names and their rooms."""

    def __init__(self, *, max_clients: int, max_clients_per_address: int) -> None:
        self._max_clients = max_clients
        self._max_clients_per_address = max_clients_per_address
        self._clients: dict[Client, None] = {}
        self._per_address: Counter[str] = Counter()
        self._names: dict[str, Client] = {}
        self._rooms: dict[str, dict[Client, None]] = {}
        self._audiences: dict[str, Mapping[Wire, Sequence[Outbox]]] = {}
        """Of the rooms in which somebody spoke since anyone came or went."""

    def admit(self, client: Client) -> str | None:
        """Make room for a connection, until `dismiss`; or return why there is none."""
        if len(self._clients) >= self._max_clients:
            return f"the server is full ({self._max_clients} clients)"
        if self._per_address[client.address] >= self._max_clients_per_address:
            return f"too many connections from {client.address} ({self._max_clients_per_address})"
        self._clients[client] = None
        self._per_address[client.address] += 1
        return None

    def dismiss(self, client: Client) -> None:
        """Give up the place that `admit` gave."""
        del self._clients[client]
        self._per_address[client.address] -= 1
        if not self._per_address[client.address]:
            del self._per_address[client.address]

    def claim(self, client: Client, name: str) -> bool:
        """Give the client this prepared name, unless another one has it. A name that it had before is free then."""
        key = nicknames.comparison_key(name)
        if self._names.get(key, client) is not client:
            return False
        self.release(client)
        self._names[key] = client
        client._name = name
        if client.room:
            _make_draft(client)
        return True

    def release(self, client: Client) -> None:
        """Let others have the client's name, if it is the one who has it. The client is still known by it."""
        key = nicknames.comparison_key(client.name) if client.name else ""
        if self._names.get(key) is client:
            del self._names[key]

    def take_back(self, client: Client) -> None:
        """Take the client's name away: a plugin did not like it."""
        self.release(client)
        client._name = ""

    def enter(self, client: Client, room: str) -> None:
        """Put the client into a room, and out of the one that it was in."""
        self.leave(client)
        self._rooms.setdefault(room, {})[client] = None
        self._audiences.pop(room, None)
        client._room = room
        _make_draft(client)

    def leave(self, client: Client) -> None:
        """Take the client out of its room, if it is in one."""
        if client.room:
            members = self._rooms[client.room]
            del members[client]
            if not members:
                del self._rooms[client.room]
            self._audiences.pop(client.room, None)
            client._room = ""

    def anyone(self) -> Sequence[Client | str]:
        """Whoever is still known here: by place, address, name or room."""
        places = [f"{len(self._clients)} places"] if self._clients else []
        in_rooms = (client for room in self._rooms.values() for client in room)
        return [*places, *self._per_address, *self._names.values(), *in_rooms]

    def clients(self) -> Sequence[Client]:
        """Who is connected, in the order of arrival, but for those who are on their way out."""
        return [client for client in self._clients if not client.ended]

    def rooms(self) -> Sequence[str]:
        """The rooms that somebody is in."""
        return list(self._rooms)

    def members(self, room: str, at_most: int | None = None) -> Sequence[Client]:
        """Who is in the room now, in the order of joining: all, or the first of them."""
        return list(islice(self._rooms.get(room, ()), at_most))

    def audience(self, room: str) -> Mapping[Wire, Sequence[Outbox]]:
        """To whom is sent what is said in the room now: the outboxes of its members, by the wire that they are on."""
        # To walk through the members for each message would take nearly as much as to send it to them.
        if room not in self._audiences and room in self._rooms:
            self._audiences[room] = _audience(self._rooms[room])
        return self._audiences.get(room, {})

    def count(self, room: str) -> int:
        """How many are in the room now."""
        return len(self._rooms.get(room, ()))


def _make_draft(client: Client) -> None:
    client._draft = Message("", client.name, client.room)


def _audience(members: Iterable[Client]) -> Mapping[Wire, Sequence[Outbox]]:
    audience: dict[Wire, list[Outbox]] = {}
    for client in members:
        audience.setdefault(client._wire, []).append(client._outbox)
    return audience
