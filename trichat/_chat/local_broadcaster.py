"""The broadcaster of a server that runs alone: a batch gets its place and is delivered in one call.

A message that is said alone while nothing else is on its way needs no batch: `publish_at_once` sends it, in the task of
its sender.
"""

from collections.abc import Awaitable, Callable

import trio

from trichat._base.errors import RequiredPluginFailed
from trichat._base.messages import Message
from trichat._chat.batch import Batch
from trichat._chat.broadcaster import LONGEST_AT_ONCE, MEMBERS_AT_ONCE, Broadcaster, disconnect
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat._chat.order import LocalOrder
from trichat._net.outbox import put_to_all
from trichat._plugins.dispatch import Plugins


class LocalBroadcaster(Broadcaster):
    """Delivers a batch as soon as it has its place: nobody else can come in between."""

    def __init__(self, hub: Hub, plugins: Plugins, order: LocalOrder) -> None:
        super().__init__(hub, plugins)
        self.order: LocalOrder = order
        self._now: Callable[[], float] = trio.current_time
        self._begun_by_sender: Awaitable[None] | None = None
        """The rest of a broadcast that a sender began, and that has to wait for a plugin. It goes before all else."""

    def publish_at_once(self, message: Message, sender: Connection) -> bool:
        """Send `message` in the task of its sender, unless it has to wait for others; return whether it was sent.

        If a plugin has to be waited for, the broadcaster finishes it. Where people speak one at a time, this saves a
        turn of the broadcaster's task and a batch: a quarter of the processor time of such a message.
        """
        if not self.inbox.idle:
            return False
        # In a large room, or with a long text, other tasks have to run between the sends.
        audience = self.hub.audience(message.rooms)
        if audience.size > MEMBERS_AT_ONCE or len(message.text) > LONGEST_AT_ONCE or not audience.is_uniform:
            return False
        now = self._now
        started = now()
        if not self.turns.may_send_at_once(started):
            return False
        messages = (self.order.place_one(message),)
        try:
            telling = self.plugins.tell_batch(messages, self.calls)
        except RequiredPluginFailed as failure:
            self.withhold(Batch([(message, sender)]), failure)
            return True
        if telling is not None:
            self._begun_by_sender = self.go_on(Batch([(message, sender)], placed=messages), messages, telling)
            self.inbox.wake()
            return True
        for wire, outboxes in audience.groups.items():
            try:
                data = wire.encode(messages)
            except (Exception, SystemExit) as error:
                disconnect(outboxes, wire, error)
            else:
                put_to_all(outboxes, data)
        self.last_sent = messages[0].id
        self.turns.note_sent_at_once(started, now())
        return True

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Broadcast until the inbox is closed and everything in it is sent."""
        self._now = trio.lowlevel.current_clock().current_time  # which does not look the clock up each time
        self.inbox.deliverer = trio.lowlevel.current_task()
        task_status.started()
        with self.calls:
            await self.rounds()

    async def round(self) -> None:
        """Finish what a sender began, and broadcast what is there."""
        if self._begun_by_sender is not None:
            begun, self._begun_by_sender = self._begun_by_sender, None
            await begun
            if self.turns.end_round():
                await self.turns.everybody_had_a_turn()  # so that what they say is in this batch
        await super().round()

    async def broadcast(self, batch: Batch) -> None:
        """Give a batch its place, and deliver it."""
        try:
            drafts = self.drafts(batch)
            if drafts:
                await self.deliver(batch, self.order.place(drafts))
            else:
                self.conclude(batch, ())
        finally:
            batch.settle()
