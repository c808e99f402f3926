"""Reminds people: `/remind 10 the tea is ready` says so in ten minutes, for the whole room, also after a restart.

Run it with `trichat serve --plugin examples/reminder.py`. What it has to say is in its folder below `data_dir`.
"""

import logging
import math
import time
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
    """What to say when. Any dataclass can be kept in a storage."""

    due: float
    """Seconds since 1970, because no other clock goes on while the server is down."""
    room: str
    name: str
    text: str


class Reminder:
    """Has one task, which sleeps until the next reminder is due, and keeps all of them in its storage."""

    _storage: Storage

    def __init__(self) -> None:
        self._waiting: list[tuple[float, str, Note]] = []
        """A heap: when each is due by Trio's clock, and its key in the storage."""
        self._changed = trio.Event()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Go on with what an earlier run has left."""
        self._storage = server.storage("reminder")
        for key, note in (await self._storage.items(type=Note)).items():
            self._add(key, note)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._remind, server)
            yield
            # What still waits is in the storage.
            nursery.cancel_scope.cancel()

    @command("remind", help="be reminded of something, in the room")
    async def remind(self, client: Client, minutes: float, text: str) -> str:
        """Keep it, and only then promise it."""
        if not 0 <= minutes <= LONGEST:
            return f"{minutes:g} minutes are not between 0 and {LONGEST:g}, which is a week"
        if len(self._waiting) >= MOST:
            return f"{MOST} reminders are waiting already"
        key, note = uuid4().hex, Note(time.time() + 60 * minutes, client.room, client.name, text)
        await self._storage.set(key, note)
        self._add(key, note)
        return f"you will be reminded in {minutes:g} minutes"

    def _add(self, key: str, note: Note) -> None:
        heappush(self._waiting, (trio.current_time() + note.due - time.time(), key, note))
        self._changed.set()

    async def _remind(self, server: Server) -> None:
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._waiting[0][0] if self._waiting else math.inf):
                await self._changed.wait()
                continue
            _, key, note = heappop(self._waiting)
            # What came due while the server was down is said now: those who join find it in the history.
            await server.say(note.room, f"{note.name}, remember: {note.text}")
            # Only now: after a crash in between it is said twice, which is better than never.
            try:
                await self._storage.delete(key)
            except StorageError as error:
                logger.error("%s will be reminded again after a restart: %s", note.name, error)
