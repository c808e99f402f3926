"""`/seen NAME` tells when somebody left, and why."""

from datetime import datetime
from typing import NamedTuple

from trichat import Client, NameDict, command, hookimpl

# Departures that are remembered; the oldest is forgotten first.
REMEMBERED = 1000


class Departure(NamedTuple):
    """When somebody left, in UTC, and why."""

    name: str
    time: datetime
    reason: str

    def __str__(self) -> str:
        return f"{self.name} left at {self.time:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"


class Seen:
    """Notes departures."""

    def __init__(self) -> None:
        self._departures: NameDict[Departure] = NameDict(limit=REMEMBERED)

    @hookimpl
    def on_disconnect(self, client: Client, reason: str) -> None:
        """Note who left, when and why."""
        if client.name:
            self._departures[client.name] = Departure(client.name, client.server.now(), reason)

    @command("seen", help="tell when somebody left, and why", group="people")
    def seen(self, client: Client, name: str) -> str:
        """Tell what is known about a name, in whatever way it is written."""
        person = client.server.find(name)
        if person is not None:
            return f"{person} is here"
        departure = self._departures.get(name)
        return f"nobody named {name} has left since the server started" if departure is None else str(departure)
