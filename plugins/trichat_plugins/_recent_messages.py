"""The last messages of rooms, in memory: what nearly every joiner is sent."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from trichat import Message

# Messages of a room that are kept: twice the default replay, so that a joiner finds its part there even when a storm of
# joins follows it.
RECENT = 2000

# Rooms whose messages are kept, those in which something happened last. Anyone can make a room by entering it.
ROOMS = 1000


class RecentMessages:
    """Remembers the last messages of the rooms in which something happened last."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        self._all_after = 0
        """Of a room that is not here, no message has a greater id."""

    def restart(self, messages: Sequence[Message], *, are_all: bool) -> None:
        """Forget everything, and remember the last messages of the log, oldest first; say whether there are others."""
        self._rooms.clear()
        self._all_after = 0 if are_all or not messages else messages[0].id - 1
        self.remember(messages)

    def remember(self, messages: Iterable[Message]) -> None:
        """Remember messages, which are later than all others."""
        latest = ""
        for message in messages:
            for name in message.rooms:
                if name != latest:  # a batch is often of one room
                    latest, room = name, self._rooms.get(name) or self._begin(name)
                    self._rooms.move_to_end(name)
                room.append(message)

    def _begin(self, name: str) -> "_Room":
        """Return a new room. If it is one too many, forget the one in which nothing has happened for longest."""
        room = self._rooms[name] = _Room(self._all_after)
        if len(self._rooms) > ROOMS:
            _, forgotten = self._rooms.popitem(last=False)
            self._all_after = max(self._all_after, forgotten[-1].id)
        return room

    def find(self, room: str, after: int, before: int, limit: int, *, newest: bool) -> Sequence[Message] | None:
        """Return the messages in between, the newest or the oldest `limit`, or `None` if some of them are not here."""
        return (self._rooms.get(room) or _Room(self._all_after)).find(after, before, limit, newest=newest)


class _Room(deque[Message]):
    """The last messages of one room: all that are later than `start`, but at most `RECENT`."""

    def __init__(self, start: int) -> None:
        super().__init__(maxlen=RECENT)
        self._start = start

    def find(self, after: int, before: int, limit: int, *, newest: bool) -> Sequence[Message] | None:
        if limit <= 0:
            return ()
        found = [message for message in self if after < message.id < before]
        if newest and len(found) >= limit:
            return found[-limit:]
        start = self[0].id - 1 if len(self) == RECENT else self._start
        return found[:limit] if after >= start else None
