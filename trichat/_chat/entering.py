"""How a client enters a room: plugins are asked, the history is sent, and it gets its place in the order."""

import logging
from typing import NamedTuple

import trio

from trichat import hookspecs
from trichat._base import room_names
from trichat._base.errors import ConnectionLost, NotSent
from trichat._base.messages import Message, Refuse
from trichat._chat.client import Connection
from trichat._chat.context import Context
from trichat._chat.history import MAX_PAGE, HistoryUnavailable, Stretch
from trichat._chat.saying import approved_reason, room_in
from trichat._fronts.front import RoomView
from trichat._net.outbox import Send

logger = logging.getLogger("trichat.session")

# How often to send what was said while a long history was sent, before joining with the rest.
CATCHING_UP = 3


# Rooms that a client can be in. A client of the line protocol is in one.
MOST_ROOMS = 100


class Wanted(NamedTuple):
    """The part of a room's history that a client wants to be sent when it enters."""

    after: int = 0
    """The id of the last message that it knows."""
    limit: int | None = None
    """The most messages; `None` for as many as joiners are sent."""

    @property
    def may_be_long(self) -> bool:
        """Whether it may be too much to be sent while live messages wait."""
        return self.limit is None or self.limit > MAX_PAGE


AS_USUAL = Wanted()
NO_HISTORY = Wanted(limit=0)


async def move(
    context: Context, connection: Connection, text: str, key: str, wanted: Wanted = AS_USUAL
) -> Refuse | None:
    """Put a client that has joined into the room that `text` names, as `enter` does."""
    try:
        room = room_names.prepare(text)
    except room_names.InvalidRoom as invalid:
        return Refuse(str(invalid), "no_such_room")
    if connection.mover is trio.lowlevel.current_task():
        raise RuntimeError(f"{connection} is entering a room; enter another one when on_enter has answered")
    try:
        await context.broadcaster.inbox.flush()  # what the client said before is shown before the other room
        async with connection.outbox.exclusive() as send:
            connection.mover = trio.lowlevel.current_task()
            # Not before: another task may have moved it meanwhile.
            if room in connection.rooms:
                return Refuse(f"you are in {room} already")
            if len(connection.rooms) >= MOST_ROOMS:
                return Refuse(f"you are in {MOST_ROOMS} rooms already")
            return await enter(context, connection, room, key, send, wanted)
    except ConnectionLost as lost:
        connection.end(str(lost))
        return Refuse(str(lost), "failed")
    finally:
        if connection.mover is trio.lowlevel.current_task():
            connection.mover = None


async def leave(context: Context, connection: Connection, text: str, reason: str) -> Refuse | None:
    """Let a client that may be in several rooms leave the one that `text` names; return why it may not."""
    room = room_in(connection, text)
    if isinstance(room, Refuse):
        return room
    if connection.dialogue.in_one_room:
        return Refuse("you are always in a room; enter another one, or quit")
    reason = await approved_reason(context, connection, "left", (room,), reason)
    await context.broadcaster.inbox.flush()  # what the client said before is sent before it is gone
    context.broadcaster.leave_room(connection, room, reason)
    return None


async def enter(
    context: Context, connection: Connection, room: str, key: str, send: Send, wanted: Wanted = AS_USUAL
) -> Refuse | None:
    """Put a client into a room, unless a plugin refuses, and send it what was said there before.

    A client that can only be in one room leaves its former one when it is in the new one; if it is refused, it stays
    where it is. `send` is the only way to the client meanwhile: what others say is sent afterwards. Returns why it was
    refused. Raises `ConnectionLost` from `send`.
    """
    may = context.plugins.refusal
    refusal = may(connection.client, "enter", room, f"entering {room}")
    if refusal is None:
        refusal = await context.plugins.ask(hookspecs.on_enter, connection.client, room, key)
    if refusal is not None:
        return refusal
    if may(connection.client, "read", room, "reading the history") is not None:
        wanted = NO_HISTORY
    broadcaster, history = context.broadcaster, context.history
    seen, limit = wanted
    problem = None
    try:
        # A long history is sent before joining, then what was said meanwhile. After joining, little is left to send
        # while live messages wait.
        for _ in range(CATCHING_UP if wanted.may_be_long else 0):
            last = broadcaster.last_sent
            if last == seen or not await history.send_if_long(send, connection, Stretch(room, seen, last + 1, limit)):
                break
            seen = last
    except HistoryUnavailable as unavailable:
        problem = str(unavailable)
    part = Wanted(seen, limit)
    if not connection.has_joined:
        return await _join(context, connection, room, "", send, part, problem)
    # Once the move has its place in the order, it happens, and then the client must hear where it is. So a caller that
    # is cancelled, such as a command that took too long, waits for the end of it.
    with connection.uninterrupted():
        former = connection.room if connection.dialogue.in_one_room else ""
        return await _join(context, connection, room, former, send, part, problem)
    return Refuse("the client has gone", "failed")


async def _join(
    context: Context, connection: Connection, room: str, former: str, send: Send, part: Wanted, problem: str | None
) -> Refuse | None:
    """Take a place in the order, and send the part of the history that is missing, or the `problem` with it."""
    try:
        cursor = await context.broadcaster.inbox.join(connection, room, former)
    except NotSent as failure:
        return Refuse(str(failure), "failed")
    if problem is None and part.limit != 0:
        try:
            await context.history.send(send, connection, Stretch(room, part.after, cursor, part.limit))
        except HistoryUnavailable as unavailable:
            problem = str(unavailable)
    if problem is not None:
        await send(connection.wire.encode([Message(problem, rooms=(), kind="notice")]))
    await send(connection.dialogue.entered(_view(context, connection, room, cursor - 1)))
    logger.info("%s entered %s" if former else "%s joined %s", connection, room)
    return None


def _view(context: Context, connection: Connection, room: str, last_id: int) -> RoomView:
    # Only as many as are shown: in a storm of joins, each welcome would walk through everyone.
    shown = connection.dialogue.names_shown
    people = context.hub.members(room, None if shown is None else shown + 1)
    topic = context.hub.topic(room)
    client = connection.client
    hints = {each.hint for each in context.server.commands.values() if each.hint and each.refusal(client) is None}
    return RoomView(
        room=room,
        name=connection.name,
        topic=topic.text if topic is not None else "",
        others=[each.name for each in people if each is not connection.presence][:shown],
        count=context.hub.count(room) - 1,
        keeps_history=context.plugins.active.implements(hookspecs.history),
        hints=sorted(hints),  # an order that no reload changes
        last_id=last_id,
    )
