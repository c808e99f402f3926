"""A person, twice: what the core keeps of one, and what a plugin is given in its place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trichat._chat.client import Client, Connection


class Presence:
    """What the core keeps of one person: a name, and the connections that share it. The hub alone changes it.

    As long as a name belongs to nobody, each connection is a person of its own.
    """

    __slots__ = ("_person", "account", "away", "connections", "name")

    def __init__(self, connection: "Connection") -> None:
        self.name: str = ""
        self.account: str = ""
        """The account that the name belongs to; empty if it belongs to nobody."""
        self.away: str = ""
        """Why the person is away; empty while it is not."""
        self.connections: tuple[Connection, ...] = (connection,)
        self._person: Person | None = None

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms that any of the connections is in, in the order of entering."""
        if len(self.connections) == 1:
            return self.connections[0].rooms
        return tuple(dict.fromkeys(room for connection in self.connections for room in connection.rooms))

    @property
    def person(self) -> "Person":
        """What plugins are given."""
        if self._person is None:
            self._person = Person(self)
        return self._person


class Person:
    """Somebody who is here, with one connection or several. None of its methods waits."""

    __slots__ = ("_presence",)

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    @property
    def name(self) -> str:
        """The user name."""
        return self._presence.name

    @property
    def rooms(self) -> Sequence[str]:
        """The rooms that the person is in, in the order of entering."""
        return self._presence.rooms

    @property
    def away(self) -> str:
        """Why the person is away, in its own words; empty while it is not. `Client.set_away` changes it."""
        return self._presence.away

    @property
    def clients(self) -> "Sequence[Client]":
        """The connections of the person, in the order of arrival."""
        return [connection.client for connection in self._presence.connections]

    def __str__(self) -> str:
        return self._presence.name

    def __repr__(self) -> str:
        return f"<Person {self}>"

    def send(self, text: str) -> None:
        """Say something to this person alone, on each connection; each line of `text` is a notice."""
        for client in self.clients:
            client.send(text)

    def kick(self, reason: str) -> None:
        """Disconnect each connection of the person. They are told `reason`, and the rooms hear of it."""
        for client in self.clients:
            client.kick(reason)
