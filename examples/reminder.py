"""Remind people: `/remind 10 the tea is ready` tells the whole room in ten minutes, even after a restart.

Run it with `trichat serve --plugin examples/reminder.py`. It stores its reminders in its folder in `data_dir`.
"""

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from uuid import uuid4

import trio

from trichat import Client, Server, Storage, StorageError, command, hookimpl

logger = logging.getLogger("trichat.reminder")

# Reminders that may wait, and minutes that each may wait: a week.
MOST, LONGEST = 1000, 7 * 24 * 60.0


@dataclass(frozen=True)
class Note:
    """A reminder: what to say, where and when. A storage can hold any dataclass."""

    due: float
    """Seconds since 1970, because no other clock keeps running while the server is down."""
    room: str
    name: str
    text: str


class Reminder:
    """Keeps all reminders in its storage. One task sleeps until the next reminder is due."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, str, Note]] = []
        """A heap of reminders: the due time by Trio's clock, the key in the storage, and the note."""
        self._changed = trio.Event()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Load the reminders of earlier runs, then remind people as long as the server runs."""
        storage = server.storage("reminder")
        for key, note in (await storage.items(type=Note)).items():
            self._add(server, key, note)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._remind, server, storage)
            yield
            # The reminders that still wait are in the storage.
            nursery.cancel_scope.cancel()

    @command("remind", help="remind the room of something, in so many minutes")
    async def remind(self, client: Client, minutes: float, text: str) -> str:
        """Store the reminder before promising it."""
        if not 0 <= minutes <= LONGEST:
            return f"{minutes:g} minutes is out of range; choose 0 to {LONGEST:g}, which is a week"
        if len(self._waiting) >= MOST:
            return f"{MOST} reminders are waiting already; try again later"
        key, note = uuid4().hex, Note(client.server.now().timestamp() + 60 * minutes, client.room, client.name, text)
        await client.server.storage("reminder").set(key, note)
        self._add(client.server, key, note)
        return f"you will be reminded in {minutes:g} minutes"

    def _add(self, server: Server, key: str, note: Note) -> None:
        heappush(self._waiting, (trio.current_time() + note.due - server.now().timestamp(), key, note))
        self._changed.set()

    async def _remind(self, server: Server, storage: Storage) -> None:
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._waiting[0][0] if self._waiting else math.inf):
                await self._changed.wait()
                continue
            _, key, note = heappop(self._waiting)
            # A reminder that was due while the server was down is said at the start; people find it in the history.
            await server.say(note.room, f"{note.name}, remember: {note.text}")
            # Deleted last: a crash in between repeats the reminder, which is better than losing it.
            try:
                await storage.delete(key)
            except StorageError as error:
                logger.error("%s will be reminded again after a restart: %s", note.name, error)
