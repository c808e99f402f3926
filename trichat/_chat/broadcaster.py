"""The broadcaster: publishes messages, and delivers them once they have their places in the order.

To publish, its task takes everything in the inbox as one batch, and gets a place for each message of it. To deliver, it
tells the plugins (the chat log writes the batch), encodes each room's part once for each wire, and hands the same bytes
to every member's outbox. In a batch, messages come first, then departures, then joins. A joiner's history therefore
ends between two batches, and its live messages begin there: none can be missing or sent twice.

How the two steps follow each other is up to the order: see `LocalBroadcaster` and `SharedBroadcaster`.
"""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from operator import attrgetter

import trio

from trichat._base.errors import NotSent, RequiredPluginFailed
from trichat._base.messages import Message
from trichat._chat.batch import Batch, Departure, Join
from trichat._chat.client import Connection
from trichat._chat.hub import Audience, Hub
from trichat._chat.inbox import Inbox
from trichat._chat.order import Order
from trichat._chat.person import Presence
from trichat._chat.turns import Turns
from trichat._fronts.front import Wire
from trichat._net.outbox import Outbox, put_to_all
from trichat._plugins.dispatch import Plugins

logger = logging.getLogger("trichat.broadcaster")

# A long fan-out lets other tasks run after so many members or so many bytes: about five milliseconds of sends, as long
# as Python lets a thread run. Each such pause costs as much as twenty sends, because the caches lose the loop's data.
MEMBERS_AT_ONCE = 512
BYTES_AT_ONCE = 8 * 1024 * 1024

# The longest text that so many members can be sent without a pause, in characters; a character has at most four bytes.
LONGEST_AT_ONCE = BYTES_AT_ONCE // MEMBERS_AT_ONCE // 4

_ROOMS = attrgetter("rooms")


class Broadcaster(ABC):
    """Sends to everyone, in one order. Nothing happens unless `run` is running."""

    order: Order

    def __init__(self, hub: Hub, plugins: Plugins) -> None:
        self.hub = hub
        self.plugins = plugins
        self.inbox = Inbox()
        """Where everything that is to be sent goes in."""
        self.turns = Turns()
        """Who is sent at once, and who waits for others."""
        self.calls = plugins.deadlines.calls()
        """Those of the task that delivers."""
        self._omits_departures = False
        self.last_sent = 0
        """The id of the last message that was logged and sent."""

    def resume_after(self, id: int) -> None:
        """Continue after `id`, the last message of an earlier run."""
        self.order.resume_after(id)
        self.last_sent = max(self.last_sent, id)

    @abstractmethod
    def publish_at_once(self, message: Message, sender: Connection) -> bool:
        """Send `message` in the task of its sender, if nothing has to wait for anyone; return whether it was sent."""

    @abstractmethod
    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Broadcast until the inbox is closed and everything in it is sent."""

    @abstractmethod
    async def broadcast(self, batch: Batch) -> None:
        """Publish a batch, and wait until it was delivered, or given back."""

    def leave(self, connection: Connection) -> None:
        """Take a client out of all its rooms at once, and tell the others in turn. Does nothing if it is in none."""
        presence, rooms = connection.presence, connection.rooms
        for room in rooms:
            self.hub.leave(connection, room)
        gone = tuple(room for room in rooms if not self.hub.is_in(presence, room))
        if not gone:
            return
        if presence.rooms:  # by another connection
            for room in gone:
                self.inbox.tell_left(Departure(presence, (room,), "left"))
        else:
            self.inbox.tell_left(Departure(presence, gone, "quit", connection.parting))

    def leave_room(self, connection: Connection, room: str, reason: str = "") -> None:
        """Take a client out of one room at once, and tell the others in turn. Does nothing if it is not there."""
        if room in connection.rooms:
            self.hub.leave(connection, room)
            if not self.hub.is_in(connection.presence, room):
                self.inbox.tell_left(Departure(connection.presence, (room,), "left", reason))

    def stop_announcing_departures(self) -> None:
        """From now on have departures logged, but do not announce them: everybody is leaving."""
        self._omits_departures = True

    async def rounds(self) -> None:
        """Broadcast, in rounds, until the inbox is closed and everything in it is sent."""
        while await self.inbox.wait():
            await self.round()
        # The last to leave found it closed.
        await self.broadcast(self.inbox.gather())

    async def round(self) -> None:
        """Broadcast what is there, and let those who waited for it speak."""
        await self.broadcast(self.inbox.gather())
        # The first of them to say something wakes the broadcaster, in the pass after the one in which all are heard.
        # Only what is in the inbox already would not wait for the others.
        if self.turns.end_round() and not self.inbox.is_empty:
            await self.turns.everybody_had_a_turn()

    def drafts(self, batch: Batch) -> Sequence[Message]:
        """Return what is to be told of a batch: messages without places."""
        drafts = [message for message, _ in batch.said]
        if batch.has_changes:
            drafts += self._changes(batch)
        return drafts

    def _changes(self, batch: Batch) -> Iterator[Message]:
        """Yield what is told of changes, in this order: names, departures, former rooms of joiners, joins.

        A person with several connections joins with the first one and leaves with the last one.
        """
        names = dict[Presence, str]()  # somebody may be renamed twice
        for rename in batch.renames:
            presence = rename.presence
            if presence.rooms:
                name = names.get(presence, presence.name)
                yield Message("", name, presence.rooms, "renamed", about=rename.name)
            names[presence] = rename.name
        for left in batch.left:
            yield Message(left.reason, left.presence.name, left.rooms, left.kind)
        for join in batch.joins:
            if join.former and self.hub.count_of(join.connection.presence, join.former) == 1:
                yield Message("", batch.name_of(join.connection.presence), (join.former,), "left")
        joined = set[tuple[Presence, str]]()
        for join in batch.joins:
            place = (join.connection.presence, join.room)
            if place not in joined and not self.hub.is_in(*place):
                joined.add(place)
                yield Message("", batch.name_of(join.connection.presence), (join.room,), "joined")

    async def deliver(self, batch: Batch, messages: Sequence[Message]) -> None:
        """Tell the plugins of messages that have their places, send them, and let the changes of `batch` take effect.

        If a required plugin fails, nothing is sent and nothing changes (`withhold`).
        """
        batch.placed = messages
        try:
            telling = self.plugins.tell_batch(messages, self.calls)
        except RequiredPluginFailed as failure:
            self.withhold(batch, failure)
        else:
            await self.go_on(batch, messages, telling)

    async def go_on(self, batch: Batch, messages: Sequence[Message], telling: Awaitable[object] | None) -> None:
        """Send what the plugins were told of, once `telling` is done."""
        if telling is not None:
            try:
                await telling
            except RequiredPluginFailed as failure:
                self.withhold(batch, failure)
                return
        moving = [join for join in batch.joins if join.former]
        if not moving:
            await self._send(messages, batch)
        else:
            # They see what is told in their former room up to here, but not that they left it.
            own = {(batch.name_of(join.connection.presence), (join.former,)) for join in moving}
            told = [message.kind == "left" and (message.sender, message.rooms) in own for message in messages]
            begin = told.index(True) if True in told else len(messages)
            await self._send(messages[:begin], batch)
            for join in moving:
                self._leave_former_room(join)
            await self._send(messages[begin:], batch)
        self.conclude(batch, messages)

    async def _send(self, messages: Sequence[Message], batch: Batch) -> None:
        """Send the messages to all members of their rooms."""
        if self._omits_departures:
            messages = [message for message in messages if message.kind != "quit"]
        done = 0.0  # since the last pause, as a part of what may be done at once
        for rooms, part in _by_rooms(messages):
            audience = self.hub.audience(rooms)
            for data, outboxes in _copies(audience, part, batch):
                at_once = min(MEMBERS_AT_ONCE, BYTES_AT_ONCE // (len(data) + 1) + 1)
                for start in range(0, len(outboxes), at_once):
                    some = outboxes[start : start + at_once]
                    share = len(some) / at_once
                    if done + share > 1:
                        await trio.lowlevel.checkpoint()
                        done = 0.0
                    put_to_all(some, data)
                    done += share

    def conclude(self, batch: Batch, messages: Sequence[Message]) -> None:
        """Let the changes of a batch take effect; `messages` are what was sent of it."""
        if messages:
            self.last_sent = messages[-1].id
        for index, publication in batch.publications.items():
            publication.place = messages[index]
        for rename in batch.renames:
            self.hub.rename(rename.presence, rename.name, self.last_sent)
            rename.done.set()
        if batch.joins:
            if not messages:  # nobody had to be told of a move: the people are in both rooms by other connections
                for join in batch.joins:
                    if join.former:
                        self._leave_former_room(join)
            first = next((message.id for message in messages if message.kind == "joined"), self.last_sent + 1)
            self._let_in(batch.joins, cursor=first)

    def _leave_former_room(self, join: Join) -> None:
        self.hub.leave(join.connection, join.former)
        join.connection.outbox.put_ahead()  # it comes before the history of the other room

    def _let_in(self, joins: Iterable[Join], cursor: int) -> None:
        for join in joins:
            connection = join.connection
            if not connection.ended:
                self.hub.enter(connection, join.room)
            elif not self.hub.is_in(connection.presence, join.room):
                # It ended while the plugins were told that it joined.
                self.inbox.tell_left(Departure(connection.presence, (join.room,), "quit"))
            join.cursor = cursor
            join.done.set()

    def withhold(self, batch: Batch, failure: RequiredPluginFailed) -> None:
        """Do not send what a required plugin could not keep."""
        self.give_back(batch, failure)

    def give_back(self, batch: Batch, failure: NotSent) -> None:
        """Tell the senders of a batch that it was not sent, and keep its departures for the next one."""
        for publication in batch.publications.values():
            publication.failure = failure
        said = (sender for index, (_, sender) in enumerate(batch.said) if index not in batch.publications)
        for sender, count in Counter(said).items():
            if sender is not None:
                sender.notice(f"not sent: {failure}" if count == 1 else f"{count} messages were not sent: {failure}")
        self.inbox.keep(batch.left)
        for rename in batch.renames:
            self.hub.let_go(rename.presence, rename.name)
            rename.failure = failure
            rename.done.set()
        for join in batch.joins:
            join.failure = failure
            join.done.set()


def _encoded(wire: Wire, messages: Sequence[Message], outboxes: Iterable[Outbox]) -> bytes:
    try:
        return wire.encode(messages)
    except (Exception, SystemExit) as error:
        disconnect(outboxes, wire, error)
        return b""


def disconnect(outboxes: Iterable[Outbox], wire: Wire, error: BaseException) -> None:
    """Disconnect the clients of a wire that has failed with this error: nobody else pays for that."""
    place = type(wire).__module__
    logger.error("the wire of %s cannot encode messages; its clients are disconnected", place, exc_info=error)
    for outbox in outboxes:
        outbox.give_up("an error in the server")


def _copies(audience: Audience, messages: Sequence[Message], batch: Batch) -> Iterator[tuple[bytes, Sequence[Outbox]]]:
    """Yield what the members of an audience are sent, each piece with the outboxes that it goes to."""
    if audience.is_uniform:
        for wire, outboxes in audience.groups.items():
            yield _encoded(wire, messages, outboxes), outboxes
        return
    senders = batch.senders()
    said_by = [senders.get(message.id) for message in messages]
    without_echo = {sender for sender in said_by if sender is not None and not sender.wire.echoes}
    left_out = {sender.outbox for sender in without_echo}
    for wire, outboxes in audience.groups.items():
        together = outboxes if wire.echoes or not left_out else [each for each in outboxes if each not in left_out]
        yield _encoded(wire, messages, together), together
    for connection in without_echo.union(audience.selective):
        has_echo = connection.wire.echoes
        own = [
            seen
            for message, sender in zip(messages, said_by, strict=True)
            if (has_echo or sender is not connection) and (seen := connection.as_seen(message)) is not None
        ]
        if own:
            yield _encoded(connection.wire, own, (connection.outbox,)), (connection.outbox,)


def _by_rooms(messages: Sequence[Message]) -> Iterable[tuple[tuple[str, ...], Sequence[Message]]]:
    """Return the messages of each room, in order. What concerns several rooms keeps its place among them."""
    only = set(map(_ROOMS, messages))
    if len(only) == 1:
        return [(messages[0].rooms, messages)]
    parts = list[tuple[tuple[str, ...], list[Message]]]()
    open_parts = dict[tuple[str, ...], list[Message]]()
    for message in messages:
        if len(message.rooms) != 1:
            open_parts.clear()
            parts.append((message.rooms, [message]))
            continue
        part = open_parts.get(message.rooms)
        if part is None:
            part = open_parts[message.rooms] = []
            parts.append((message.rooms, part))
        part.append(message)
    return parts
