"""`/seen NAME` tells when somebody left, and why."""

import time
from collections import OrderedDict

from trichat import Client, command, hookimpl

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

    @command("seen", help="tell when somebody left, and why")
    def seen(self, client: Client, name: str) -> str:
        """Tell what is known about a name."""
        if client.server.find(name) is not None:
            return f"{name} is here"
        if name.casefold() in self._departures:
            when, reason = self._departures[name.casefold()]
            return f"{name} left at {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(when))} UTC: {reason}"
        return f"{name} has not left since the server started"
