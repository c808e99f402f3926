"""How a client enters a room: plugins are asked, the history is sent, and it gets its place in the order."""

import logging

from trichat import hookspecs
from trichat._base import room_names
from trichat._base.errors import ConnectionLost, NotSent
from trichat._base.messages import Message, Refuse
from trichat._chat.client import Connection
from trichat._chat.context import Context
from trichat._chat.history import HistoryUnavailable
from trichat._fronts.front import RoomView
from trichat._net.outbox import Send

logger = logging.getLogger("trichat.session")

# How often to send what was said while a long history was sent, before joining with the rest.
CATCHING_UP = 3


async def move(context: Context, connection: Connection, text: str, key: str) -> Refuse | None:
    """Put a client that is in a room into the one that `text` names, as `enter` does."""
    try:
        room = room_names.prepare(text)
    except room_names.InvalidRoom as invalid:
        return Refuse(str(invalid), "no_such_room")
    if room in connection.rooms:
        return Refuse(f"you are in {room} already")
    try:
        await context.broadcaster.inbox.flush()  # what the client said before is shown before the other room
        async with connection.outbox.exclusive() as send:
            return await enter(context, connection, room, key, send)
    except ConnectionLost as lost:
        connection.end(str(lost))
        return Refuse(str(lost), "failed")


async def enter(context: Context, connection: Connection, room: str, key: str, send: Send) -> Refuse | None:
    """Put a client into a room, unless a plugin refuses, and send it what was said there before.

    A client that can only be in one room leaves its former one when it is in the new one; if it is refused, it stays
    where it is. `send` is the only way to the client meanwhile: what others say is sent afterwards. Returns why it was
    refused. Raises `ConnectionLost` from `send`.
    """
    refusal = await context.plugins.ask(hookspecs.on_enter, connection.client, room, key)
    if refusal is not None:
        return refusal
    broadcaster, history = context.broadcaster, context.history
    seen = 0
    problem = None
    try:
        # A long history is sent before joining, then what was said meanwhile. After joining, little is left to send
        # while live messages wait.
        for _ in range(CATCHING_UP):
            last = broadcaster.last_sent
            if last == seen or not await history.send_if_long(send, connection.wire, room, seen, last + 1):
                break
            seen = last
    except HistoryUnavailable as unavailable:
        problem = str(unavailable)
    if not connection.rooms:
        return await _join(context, connection, room, "", send, seen, problem)
    # Once the move has its place in the order, it happens, and then the client must hear where it is. So a caller that
    # is cancelled, such as a command that took too long, waits for the end of it.
    with connection.uninterrupted():
        former = connection.room if connection.dialogue.in_one_room else ""
        return await _join(context, connection, room, former, send, seen, problem)
    return Refuse("the client has gone", "failed")


async def _join(
    context: Context, connection: Connection, room: str, former: str, send: Send, seen: int, problem: str | None
) -> Refuse | None:
    """Take a place in the order, and send what is missing: the history after `seen`, or the `problem` with it."""
    try:
        cursor = await context.broadcaster.inbox.join(connection, room, former)
    except NotSent as failure:
        return Refuse(str(failure), "failed")
    if problem is None:
        try:
            await context.history.send(send, connection.wire, room, seen, cursor)
        except HistoryUnavailable as unavailable:
            problem = str(unavailable)
    if problem is not None:
        await send(connection.wire.encode([Message(problem, rooms=(), kind="notice")]))
    await send(connection.dialogue.entered(_view(context, connection)))
    logger.info("%s entered %s" if former else "%s joined %s", connection, room)
    return None


def _view(context: Context, connection: Connection) -> RoomView:
    # Only as many as are shown: in a storm of joins, each welcome would walk through everyone.
    shown = connection.dialogue.names_shown
    people = context.hub.members(connection.room, None if shown is None else shown + 1)
    client = connection.client
    hints = {each.hint for each in context.server.commands.values() if each.hint and each.refusal(client) is None}
    return RoomView(
        room=connection.room,
        name=connection.name,
        topic="",
        others=[each.name for each in people if each is not connection.presence][:shown],
        count=context.hub.count(connection.room) - 1,
        keeps_history=context.plugins.active.implements(hookspecs.history),
        hints=sorted(hints),  # an order that no reload changes
    )
