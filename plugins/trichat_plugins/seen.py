"""`/seen NAME` tells when somebody left, and how."""

import time
from collections import OrderedDict
from collections.abc import Iterable

from trichat import Client, Command, hookimpl

# Departures that are remembered; the oldest is forgotten first.
REMEMBERED = 1000


class Seen:
    """Notes departures."""

    def __init__(self) -> None:
        self._departures: OrderedDict[str, tuple[float, str]] = OrderedDict()

    @hookimpl
    def on_disconnect(self, client: Client, reason: str) -> None:
        """Note who left, when and why."""
        if client.name:
            self._departures[client.name.casefold()] = (time.time(), reason)
            self._departures.move_to_end(client.name.casefold())
            if len(self._departures) > REMEMBERED:
                self._departures.popitem(last=False)

    @hookimpl
    def commands(self) -> Iterable[Command]:
        """`/seen NAME`."""
        return [Command("seen", "tell when somebody left, and how", self._seen, arguments="NAME")]

    def _seen(self, client: Client, name: str) -> None:
        if not name:
            client.send("usage: /seen NAME")
        elif any(member.name.casefold() == name.casefold() for member in client.server.members(client.room)):
            client.send(f"{name} is here")
        elif name.casefold() in self._departures:
            when, reason = self._departures[name.casefold()]
            client.send(f"{name} left at {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))} UTC: {reason}")
        else:
            client.send(f"{name} has not left since the server started")
