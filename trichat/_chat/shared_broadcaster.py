"""The broadcaster of a server whose order is shared: publishing a batch and delivering it are two steps.

One task publishes a batch and waits until it was delivered. Another one delivers every entry that the order says comes
next: those of this server, with the changes of their batch, and those of others. So at most one batch of this server is
in flight, and whatever it changes takes effect exactly at its own place in the order.
"""

from collections.abc import Callable, Sequence

import trio

from trichat._base.errors import NotSent, RequiredPluginFailed
from trichat._base.messages import Message
from trichat._chat.batch import Batch
from trichat._chat.broadcaster import Broadcaster
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat._chat.order import Entry, SharedOrder
from trichat._plugins.dispatch import Plugins


class SharedBroadcaster(Broadcaster):
    """Delivers batches when they come back. `on_fatal` is called with the reason why the server has to stop."""

    def __init__(self, hub: Hub, plugins: Plugins, order: SharedOrder, on_fatal: Callable[[str], None]) -> None:
        super().__init__(hub, plugins)
        self.order: SharedOrder = order
        self._on_fatal = on_fatal
        self._in_flight: Batch | None = None
        """The batch that was published and not delivered yet. An entry of this server is this batch."""
        self._has_landed = trio.Event()
        """Set when that batch was delivered, or nothing will be delivered any more."""
        self._delivering = trio.Lock()
        """Held while an entry is delivered: nothing else may take effect meanwhile."""
        self._failure: NotSent | None = None
        """Why this server delivers nothing more."""

    def publish_at_once(self, message: Message, sender: Connection) -> bool:  # noqa: ARG002
        """Return `False`: every message has to wait for its place."""
        return False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Broadcast until the inbox is closed and everything in it is sent; deliver what others publish meanwhile."""
        async with self.order.connected(), trio.open_nursery() as nursery:
            await nursery.start(self._deliver_entries)
            task_status.started()
            await self.rounds()
            nursery.cancel_scope.cancel()

    async def broadcast(self, batch: Batch) -> None:
        """Publish a batch, and wait until it is delivered."""
        try:
            drafts = self.drafts(batch)
            if drafts:
                await self._publish(batch, drafts)
            else:
                async with self._delivering:
                    self.conclude(batch, ())
        except NotSent as failure:
            self.give_back(batch, failure)
        finally:
            batch.settle()

    async def _publish(self, batch: Batch, drafts: Sequence[Message]) -> None:
        if self._failure is None:
            self._in_flight, self._has_landed = batch, trio.Event()
            await self.order.publish(drafts)
            await self._has_landed.wait()
            if self._in_flight is None:
                return
        assert self._failure is not None
        raise self._failure

    async def _deliver_entries(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.inbox.deliverer = trio.lowlevel.current_task()
        task_status.started()
        with self.calls:
            while self._failure is None:
                entry = await self.order.read()
                async with self._delivering:
                    await self._deliver(entry)
        self._has_landed.set()

    async def _deliver(self, entry: Entry) -> None:
        if not entry.is_own:
            await self.deliver(Batch(), entry.messages)
            return
        assert self._in_flight is not None
        await self.deliver(self._in_flight, entry.messages)
        if self._failure is None:
            self._in_flight = None
            self._has_landed.set()

    def withhold(self, batch: Batch, failure: RequiredPluginFailed) -> None:
        """Do not send what a required plugin could not keep. If others have it, nothing more may be sent here."""
        if self.order.can_take_back:
            self.give_back(batch, failure)
        else:
            self._failure = failure
            self._on_fatal(f"{failure}, and others have what it should have kept")
