"""An order that delivers later, in another task, as one that is shared over a network would."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from trichat import Message
from trichat._base.errors import NotSent
from trichat._chat.order import Entry, LocalOrder, WallClock

# Ids between two messages that nobody gets.
GAP = 7

# Checkpoints on each way: to the engine, and back.
CHECKPOINTS = 2


class LaterOrder:
    """Gives batches the ids of an engine, which has gaps, and reads them back one by one, with entries of others.

    Another server publishes something before every third batch: here, something that only programs see.
    """

    can_take_back = True

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._last = 0
        self._publishing: list[tuple[Sequence[Message], trio.Event]] = []
        self._count = 0
        self._entries: list[Entry] = []
        self._changed = trio.lowlevel.ParkingLot()
        self.is_full = False
        """Whether it refuses what is published."""

    def resume_after(self, id: int) -> None:
        self._last = max(self._last, id)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_engine, name="engine")
            yield
            nursery.cancel_scope.cancel()

    async def publish(self, drafts: Sequence[Message]) -> None:
        if self.is_full:
            await trio.lowlevel.checkpoint()
            raise NotSent("the engine is full")
        placed = trio.Event()
        self._publishing.append((drafts, placed))
        self._changed.unpark_all()
        await placed.wait()

    async def read(self) -> Entry:
        await self._until(self._entries)
        return self._entries.pop(0)

    def insert(self, messages: Sequence[Message], *, is_own: bool = False) -> None:
        """Give messages the next places: by default, those of another server."""
        first = max(self._clock() // 1000, self._last + GAP)
        placed = [message.with_id(first + GAP * number) for number, message in enumerate(messages)]
        self._last = placed[-1].id
        self._entries.append(Entry(placed, is_own))
        self._changed.unpark_all()

    def before(self, drafts: Sequence[Message]) -> Sequence[Message]:
        """Return what another server publishes before a batch of this one."""
        self._count += 1
        return [] if self._count % 3 else [Message("from another server", rooms=(), kind="control")]

    async def _run_engine(self) -> None:
        while True:
            await self._until(self._publishing)
            drafts, placed = self._publishing.pop(0)
            if others := self.before(drafts):
                self.insert(others)
            self.insert(drafts, is_own=True)
            await _way()
            placed.set()  # the entry may have been read long before

    async def _until(self, list_has_some: Sequence[object]) -> None:
        await _way()
        while not list_has_some:
            await self._changed.park()


async def _way() -> None:
    for _ in range(CHECKPOINTS):
        await trio.lowlevel.checkpoint()


ORDERS = {"local": LocalOrder, "later": LaterOrder}
