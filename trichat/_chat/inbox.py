"""The inbox of the broadcaster: everything that is to be sent.

Sessions and plugins put things in. The broadcaster takes everything that is there as one batch. A memory channel holds
it. Messages that find the channel full wait in a second one, and departures, which must not wait, are in a list.
"""

from contextlib import suppress

import trio

from trichat._base.messages import LOBBY, Message, Refuse
from trichat._chat.batch import Batch, Departure, Flush, Item, Join, Publication, Rename, Said
from trichat._chat.client import Connection

# Messages that may be on their way to the broadcaster. A sender of more waits: that is the back-pressure it feels.
CAPACITY = 1024


class Inbox:
    """Messages, joins and departures, until the broadcaster gathers them."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Item](CAPACITY)
        self._first: Item = None
        """What came out of the channel when the broadcaster woke: the first item of the next batch."""
        self._said: Said | None = None
        """The messages since the last batch was gathered. This list is an item in the channel."""
        self._send_late, self._receive_late = trio.open_memory_channel[tuple[Message, Connection | None]](0)
        """Messages that found no room. Their senders wait here, and are served in turn."""
        self._left: list[Departure] = []
        """Departures that were not announced yet. They do not go through the channel, because leaving never blocks."""
        self.deliverer: trio.lowlevel.Task | None = None
        """The task that tells plugins of what is sent. Nothing is sent while it waits for something in here."""
        self.idle = False
        """Whether the broadcaster waits and nothing is on its way. `wait` sets it, and clears it when it returns;
        `_put_nowait` clears it before that."""

    @property
    def is_empty(self) -> bool:
        """Whether the channel is empty."""
        return not self._receive.statistics().current_buffer_used

    async def publish(self, message: Message, sender: Connection | None = None) -> None:
        """Send `message` to its room. Waits while there is too much. `sender`, if there is one, is told if it fails.

        Raises `RuntimeError` in `on_broadcast` when there is too much: waiting there would never end.
        """
        try:
            self.publish_nowait(message, sender)
        except trio.WouldBlock:
            self._check_waiting_ends()
            await self._send_late.send((message, sender))

    def publish_nowait(self, message: Message, sender: Connection | None = None) -> None:
        """Do what `publish` does, or raise `trio.WouldBlock` if it would have to wait."""
        # Everything said between two batches travels as one item. An item for each message would cost as much as all
        # that the plugins do with it.
        said = self._said
        if said is None:
            said = []
            self._put_nowait(said)
            self._said = said
        elif len(said) == CAPACITY:
            raise trio.WouldBlock
        said.append((message, sender))

    async def join(self, connection: Connection, room: str = LOBBY, former: str = "") -> int:
        """Put the client into the room, and out of a `former` one, at its place in the order, and tell the others.

        Returns the cursor: messages with a smaller id are history to the client, and those of later batches reach it
        live. Others who joined in the same batch are in the room by then, and are not announced to it. Raises
        `NotSent` if the joining could not be logged.
        """
        join = Join(connection, room, former)
        await self.put(join)
        await join.done.wait()
        if join.failure is not None:
            raise join.failure
        return join.cursor

    async def flush(self) -> None:
        """Wait until everything that was published so far is sent."""
        flush = Flush()
        await self.put(flush)
        await flush.done.wait()

    async def publish_and_wait(self, message: Message, sender: Connection | None = None) -> Message | Refuse:
        """Send `message`, and return it with its id when it was sent, or why it was not.

        Raises `RuntimeError` in `on_broadcast`: waiting there would never end. If this is cancelled, the message may be
        sent all the same.
        """
        publication = Publication(message, sender)
        await self.put(publication)
        await publication.done.wait()
        if publication.place is None:
            return Refuse(str(publication.failure or "the server is stopping"), "failed")
        return publication.place

    async def put(self, item: Publication | Join | Rename | Flush) -> None:
        """Put something in whose `done` is set when it was sent, or cannot be. If this is cancelled, it is not in.

        Raises `RuntimeError` in `on_broadcast`: waiting there would never end.
        """
        self._check_waiting_ends()
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._put_nowait(item)
        except trio.WouldBlock:
            await self._send.send(item)

    def tell_left(self, departure: Departure) -> None:
        """Tell rooms in turn that somebody has left them."""
        self._left.append(departure)
        self.wake()

    def wake(self) -> None:
        """Let `wait` return, even if nothing is there."""
        # An item that is in the channel wakes the broadcaster anyway. If the channel is closed, nobody is left to tell.
        if self.is_empty:
            with suppress(trio.ClosedResourceError):
                self._put_nowait(None)

    def close(self) -> None:
        """Accept nothing more. What is there can still be gathered."""
        if self.idle:
            self.wake()
        self._send.close()
        self._send_late.close()
        self._said = None  # the next message opens a new item, and finds the channel closed

    def abandon(self) -> None:
        """Accept nothing more, and let nobody wait for what is there: the server has ended."""
        self.close()
        self.gather().settle()

    async def wait(self) -> bool:
        """Wait for something to gather. Return `False` if there will be nothing more: the inbox is closed and empty."""
        # Departures that could not be logged wait for the next batch, so the inbox is not idle.
        self.idle = self.is_empty and not self._left
        try:
            self._first = await self._receive.receive()
        except trio.EndOfChannel:
            return False
        finally:
            self.idle = False
        return True

    def gather(self) -> Batch:
        """Take everything that is there."""
        # A client that left has published everything before. The channel is emptied here, so its departure comes after.
        batch = Batch(left=self._left)
        self._left = []
        batch.add(self._first)
        self._first = None
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                batch.add(self._receive.receive_nowait())
        self._said = None
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                batch.said.append(self._receive_late.receive_nowait())
        return batch

    def keep(self, left: list[Departure]) -> None:
        """Keep departures that could not be logged for the next batch."""
        self._left = left + self._left

    def _check_waiting_ends(self) -> None:
        """Raise `RuntimeError` in the task that delivers, in tasks that it waits for, and before it begins in a task
        that is still being started: the lifespan of a plugin.
        """
        current = trio.lowlevel.current_task()
        if self.deliverer is None and current.eventual_parent_nursery is not None:
            raise RuntimeError(
                "this would wait forever: nothing is sent before the server has started. Do it in a task of your own, "
                "or use say_nowait"
            )
        task: trio.lowlevel.Task | None = current
        while task is not None:
            if task is self.deliverer:
                raise RuntimeError(
                    "this would wait forever: nothing is sent before on_broadcast returns. Do it in a task of your "
                    "own, or use say_nowait"
                )
            nursery = task.parent_nursery
            task = None if nursery is None else nursery.parent_task

    def _put_nowait(self, item: Item) -> None:
        self._send.send_nowait(item)
        self.idle = False
