"""How a client says something that is more than a line of the line protocol: in a room, to one person, or on leaving.

Whatever people are meant to read, plugins are asked about it first.
"""

import inspect
from typing import Literal

from trichat._base import nicknames, room_names
from trichat._base.messages import LOBBY, Handled, Message, Refuse
from trichat._base.text import printable
from trichat._chat.client import Connection, Kind
from trichat._chat.context import Context

# People whom a client can ignore: more than anyone has reason to, and few enough to be looked through for a rename.
MOST_IGNORED = 100


def room_in(connection: Connection, text: str) -> str | Refuse:
    """Return the room that `text` names, or the one that the client speaks in if it is empty; `Refuse` if it is in no
    such room.
    """
    room = text or connection.room
    if room in connection.rooms:
        return room
    if not room:
        return Refuse("you are in no room", "not_in_room")
    try:
        room = room_names.prepare(room)
    except room_names.InvalidRoom as invalid:
        return Refuse(str(invalid), "no_such_room")
    return room if room in connection.rooms else Refuse(f"you are not in {room}", "not_in_room")


async def say(
    context: Context, connection: Connection, text: str, room: str = "", kind: Kind = "said", reply_to: int = 0
) -> Message | Refuse | None:
    """Say something in a room, and wait until it was sent. Return it with its id, or why it was refused."""
    where = room_in(connection, room)
    if isinstance(where, Refuse):
        return where
    if kind == "topic":
        refusal = context.plugins.refusal(connection.client, "topic", where, "setting the topic")
        if refusal is not None:
            return refusal
    message = Message(text, connection.name, (where,), kind, reply_to=reply_to)
    if not message.text.strip() and kind != "topic":  # a room may have no topic
        return Refuse("there is nothing to say", "usage")
    answer = await _ask(context, connection, message)
    if isinstance(answer, Message):
        return await context.broadcaster.inbox.publish_and_wait(answer, connection)
    return answer if isinstance(answer, Refuse) else None


async def tell(context: Context, connection: Connection, name: str, text: str) -> Message | Refuse | None:
    """Say something to one person alone. Return it as it was sent, or why it was refused."""
    other = context.hub.find(name)
    if other is None:
        return Refuse(f"{name} is not here", "no_such_name")
    line = Message(text, connection.name, (), about=other.name)
    if not line.text.strip():
        return Refuse("there is nothing to say", "usage")
    # What the client said in a room before is seen before this.
    await context.broadcaster.inbox.flush()
    with context.plugins.deadlines.calls() as calls:
        answer = await context.plugins.ask_private(connection.client, other.person, line, calls)
    if not isinstance(answer, Message):
        return answer if isinstance(answer, Refuse) else None
    # Either may have another name by now, and the other one may have gone.
    if not other.connections:
        return Refuse(f"{other.name} has left", "no_such_name")
    line = Message(answer.text, connection.name, (), about=other.name)
    if not line.text.strip():
        return None  # a plugin has taken all of it
    for each in other.connections:
        if each.as_seen(line) is not None:
            each.show(line)
    return line


async def set_away(context: Context, connection: Connection, text: str) -> Refuse | None:
    """Note why the person of a client is away, unless a plugin refuses the text."""
    if text:
        answer = await _ask(context, connection, Message(text, connection.name, connection.rooms or (LOBBY,), "did"))
        if not isinstance(answer, Message):
            return answer if isinstance(answer, Refuse) else None
        text = printable(answer.text)  # it is shown in the midst of other words, so it has one line
    connection.presence.away = text
    return None


async def quit(context: Context, connection: Connection, reason: str) -> None:  # noqa: A001 - the field's term
    """Let a client leave the chat. Its rooms are told the reason, unless a plugin refuses that."""
    connection.parting = await approved_reason(context, connection, "quit", connection.rooms, reason)
    connection.end(
        f"quit: {connection.parting}" if connection.parting else "quit", farewell=f"goodbye, {connection.name}"
    )


def ignore(context: Context, connection: Connection, text: str) -> Refuse | None:
    """Show a client nothing more of what the person says whom `text` names; return why not."""
    name = _name(text)
    if isinstance(name, Refuse):
        return name
    other = context.hub.find(name)  # the name may be written with letters that only look alike
    if other is connection.presence:
        return Refuse("that is you")
    if len(connection.ignored.names) >= MOST_IGNORED:
        return Refuse(f"you ignore {MOST_IGNORED} people already")
    context.hub.ignore(connection, name if other is None else other.name)
    return None


def unignore(context: Context, connection: Connection, text: str) -> Refuse | None:
    """Show a client again what the person says whom `text` names; return why not."""
    name = _name(text)
    if isinstance(name, Refuse):
        return name
    hub = context.hub
    if hub.unignore(connection, name):
        return None
    other = hub.find(name)
    if other is not None and hub.unignore(connection, other.name):
        return None
    return Refuse(f"you do not ignore {name}", "no_such_name")


def _name(text: str) -> str | Refuse:
    try:
        return nicknames.prepare(text)
    except nicknames.InvalidName as invalid:
        return Refuse(str(invalid), "name_invalid")


async def approved_reason(
    context: Context, connection: Connection, kind: Literal["left", "quit"], rooms: tuple[str, ...], reason: str
) -> str:
    """Return what people are told as the reason for leaving rooms: nothing if a plugin refuses it."""
    if not reason:
        return ""
    answer = await _ask(context, connection, Message(reason, connection.name, rooms, kind))
    return answer.text if isinstance(answer, Message) else ""


async def _ask(context: Context, connection: Connection, message: Message) -> Message | Handled | Refuse:
    with context.plugins.deadlines.calls() as calls:
        answer = context.plugins.ask_message(connection.client, message, calls)
        if answer is not message and inspect.isawaitable(answer):
            answer = await answer
    return answer
