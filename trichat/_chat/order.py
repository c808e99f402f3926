"""The one order: every message gets its place in it here.

This is a seam. Nothing outside an order makes ids or assumes that they are contiguous. That an id is a time in
microseconds is known elsewhere, too: `Message.time` and the lines of the chat log are derived from it.

A server that runs alone has a `LocalOrder`: a batch gets its place and is delivered in one call, without a wait. In a
`SharedOrder`, these are two steps. A server publishes its batch, and delivers it when it comes back as an entry, among
those of other servers.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from trichat._base.messages import Message, with_ids

WallClock = Callable[[], int]
"""Returns the nanoseconds since 1970 (UTC)."""


class LocalOrder:
    """Ids that strictly increase: the time in microseconds or, where the clock stood still or went back, one more.

    The order survives restarts without a counter in a file: the dates in the log are the ids.
    """

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self.last = 0
        """The id that was given last; the next one is greater."""

    def resume_after(self, id: int) -> None:
        """Continue after `id`, the last message of an earlier run."""
        self.last = max(self.last, id)

    def place(self, drafts: Sequence[Message]) -> Sequence[Message]:
        """Return the same messages, at least one, at their places in the order."""
        first = max(self._clock() // 1000, self.last + 1)
        self.last = first + len(drafts) - 1
        return with_ids(drafts, first)

    def place_one(self, draft: Message) -> Message:
        """Return the same message at its place in the order."""
        self.last = max(self._clock() // 1000, self.last + 1)
        return draft.with_id(self.last)


class Entry(msgspec.Struct, frozen=True):
    """A batch at its place in a shared order."""

    messages: Sequence[Message]
    """Their ids strictly increase, also from one entry to the next. There may be gaps."""
    is_own: bool
    """Whether this server has published it, in this run. Then it has the messages as they were published."""


class SharedOrder(Protocol):
    """An order that other servers share, or that is kept elsewhere.

    A server has at most one batch in it that it has published and not read yet. So its own entry is that batch.
    """

    can_take_back: bool
    """Whether an entry can still be withheld when it is delivered. If not, others may have it already, so a server that
    cannot keep it stops."""

    def __init__(self, clock: WallClock) -> None:
        """`clock` is that of this server."""

    def resume_after(self, id: int) -> None:
        """Begin with the entry after `id`, the last message of an earlier run. Called before `connected`."""

    def connected(self) -> AbstractAsyncContextManager[None]:
        """Take part in the order as long as the block runs."""

    async def publish(self, drafts: Sequence[Message]) -> None:
        """Give a batch its place. It may be read before this returns.

        Raises `NotSent` if it has no place and never will have one. It is up to the order to find out what became of a
        batch after a connection broke. If this is cancelled, the batch may have its place or not.
        """

    async def read(self) -> Entry:
        """Wait for the next entry. If this is cancelled, the next call returns the same one."""


Order = LocalOrder | SharedOrder
