"""What a client that has joined can ask for besides saying something: each request, and how it is carried out."""

import sys

from trichat._base.messages import Message, Refuse
from trichat._chat import saying
from trichat._chat.client import Connection
from trichat._chat.command_requests import run_command
from trichat._chat.context import Context
from trichat._chat.entering import Wanted, leave, move
from trichat._chat.history import MAX_PAGE, HistoryUnavailable
from trichat._chat.renaming import rename
from trichat._fronts.front import Answer, Outcome
from trichat._fronts.requests import Away, Command, Join, Part, Past, Quit, Rename, Request, Say, Tell


async def carry_out(context: Context, connection: Connection, request: Request) -> Outcome:
    """Do what a client asks for, and return what it is answered."""
    match request:
        case Command():
            return await run_command(request, connection)
        case Say():
            said = await saying.say(
                context, connection, request.text, request.room, request.kind, reply_to=request.reply_to
            )
            return said if isinstance(said, Refuse) else Answer(id=said.id if said else 0)
        case Tell():
            return await _tell(context, connection, request)
        case Join():
            # Whoever says what it knows has to get all the rest.
            limit = sys.maxsize if request.after and request.limit is None else request.limit
            wanted = Wanted(request.after, limit)
            return await move(context, connection, request.room, request.key, wanted) or Answer()
        case Part():
            return await leave(context, connection, request.room, request.reason) or Answer()
        case Rename():
            return await rename(context, connection, request.name) or Answer()
        case Away():
            return await saying.set_away(context, connection, request.text) or Answer()
        case Past():
            return await _past(context, connection, request)
        case Quit():
            await saying.quit(context, connection, request.reason)
            return Answer()
    # Only the kind: a request may have secrets in it.
    raise AssertionError(f"no client that has joined can ask for a {type(request).__name__}")


async def _tell(context: Context, connection: Connection, request: Tell) -> Outcome:
    told = await saying.tell(context, connection, request.name, request.text)
    if not isinstance(told, Message):
        return told or Answer()
    other = context.hub.find(told.about)
    return Answer(f"{other.name} is away: {other.away}" if other is not None and other.away else "")


async def _past(context: Context, connection: Connection, request: Past) -> Outcome:
    room = saying.room_in(connection, request.room)
    if isinstance(room, Refuse):
        return room
    refusal = context.plugins.refusal(connection.client, "read", room, "reading the history")
    if refusal is not None:
        return refusal
    await context.broadcaster.inbox.flush()  # what the client said before is in the page
    limit = min(max(request.limit, 0), MAX_PAGE)
    newest = not request.after
    # What is not shown must not make the page shorter, so more is looked at.
    most = MAX_PAGE if connection.ignored else limit
    before = min(request.before or sys.maxsize, context.broadcaster.last_sent + 1)
    try:
        found, has_more = await context.history.page(room, request.after, before, most, newest=newest)
    except HistoryUnavailable as unavailable:
        return Refuse(str(unavailable), "failed")
    shown = [*filter(None, map(connection.as_seen, found))]
    page = shown[max(len(shown) - limit, 0) :] if newest else shown[:limit]
    return Answer(messages=page, has_more=has_more or len(page) < len(shown))
