"""The inbox of the broadcaster: one memory channel, in which all waits that is to be sent.

Sessions and plugins put things in; the broadcaster takes all that is there as one batch.
"""

from contextlib import suppress

import trio

from trichat._base.messages import LOBBY, Message
from trichat._chat.batch import Batch, Flush, Item, Join, Said
from trichat._chat.client import Connection

# What may be on its way to the broadcaster. Whoever sends more waits, which is how a flood is felt by its sender.
CAPACITY = 1024


class Inbox:
    """What is said, who joins, and who has left, until the broadcaster gathers it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Item](CAPACITY)
        self._first: Item = None
        """What has come out of the channel already, and is the first of the next batch."""
        self._said: Said | None = None
        """What was said since the last batch was gathered. It is in the channel."""
        self._send_late, self._receive_late = trio.open_memory_channel[tuple[Message, Connection | None]](0)
        """What is said when there is no room. Who waits here is heard in turn."""
        self._left: list[Message] = []
        """Departures that nobody was told of yet. They do not go through the channel: leaving cannot wait."""
        self._reader: trio.lowlevel.Task | None = None
        self.idle = False
        """Whether the broadcaster waits and nothing is on its way. Only `wait` sets it, and `_put_nowait` clears it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the channel."""
        return not self._receive.statistics().current_buffer_used

    async def publish(self, message: Message, sender: Connection | None = None) -> None:
        """Send `message` to its room. Waits while there is too much. `sender`, if there is one, is told if it fails.

        Raises `RuntimeError` where waiting would never end: in the broadcaster's own task, when there is too much.
        """
        try:
            self.publish_nowait(message, sender)
        except trio.WouldBlock:
            if trio.lowlevel.current_task() is self._reader:
                problem = "the channel is full; say it from a task of your own, not in on_broadcast"
                raise RuntimeError(problem) from None
            await self._send_late.send((message, sender))

    def publish_nowait(self, message: Message, sender: Connection | None = None) -> None:
        """Do what `publish` does, or raise `trio.WouldBlock` if that would have to wait."""
        # What is said until the next batch is one item of the channel: an item for each message would take as long as
        # all that the plugins do with it.
        said = self._said
        if said is None:
            said = []
            self._put_nowait(said)
            self._said = said
        elif len(said) == CAPACITY:
            raise trio.WouldBlock
        said.append((message, sender))

    async def join(self, connection: Connection, room: str = LOBBY) -> int:
        """Put the client into the room, at its place in the order, and tell the others.

        Returns the cursor: all messages with a smaller id are history to the client, and those of later batches reach
        it live. Who joined in the same batch is in the room by then, and is not announced to it.
        Raises `RequiredPluginFailed` if the joining could not be logged.
        """
        join = Join(connection, room)
        await self._put(join)
        await join.done.wait()
        if join.failure is not None:
            raise join.failure
        return join.cursor

    async def flush(self) -> None:
        """Wait until all that was published so far was sent."""
        flush = Flush()
        await self._put(flush)
        await flush.done.wait()

    def tell_left(self, name: str, room: str) -> None:
        """Tell the room that somebody has left it, in turn."""
        self._left.append(Message(f"{name} left", name, room, "left"))
        self.wake()

    def wake(self) -> None:
        """Let `wait` return, whatever is there."""
        # What is in the channel wakes the broadcaster as well; a closed one says that nobody is left to tell.
        if self.is_empty:
            with suppress(trio.ClosedResourceError):
                self._put_nowait(None)

    def close(self) -> None:
        """Take nothing more. What is there can still be gathered."""
        if self.idle:
            self.wake()
        self._send.close()
        self._send_late.close()
        self._said = None  # the next message opens a new item, and finds the channel closed

    async def wait(self) -> bool:
        """Wait until there is something, and return whether there is: if not, the inbox is closed and empty."""
        self._reader = trio.lowlevel.current_task()
        # Departures that could not be logged wait for the next batch.
        self.idle = self.is_empty and not self._left
        try:
            self._first = await self._receive.receive()
        except trio.EndOfChannel:
            return False
        finally:
            self.idle = False
        return True

    def gather(self) -> Batch:
        """Take all that is there."""
        # Whoever left has sent all it had to say before, and the channel is emptied here: so it leaves after that.
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

    def keep(self, left: list[Message]) -> None:
        """Keep departures that could not be logged for the next batch."""
        self._left = left + self._left

    def _put_nowait(self, item: Item) -> None:
        self._send.send_nowait(item)
        self.idle = False

    async def _put(self, item: Item) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._put_nowait(item)
        except trio.WouldBlock:
            await self._send.send(item)
