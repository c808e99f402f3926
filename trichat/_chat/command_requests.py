"""Carries out the slash commands that clients give."""

import inspect
import logging

from trichat._base.messages import Refuse
from trichat._base.suggestion import suggestion
from trichat._base.text import printable
from trichat._chat.client import Connection
from trichat._chat.saying import room_in
from trichat._fronts.front import Answer, Outcome
from trichat._fronts.requests import Command as CommandRequest

logger = logging.getLogger("trichat.commands")


async def run_command(request: CommandRequest, connection: Connection) -> Outcome:
    """Run a command of a plugin for a client, and return what it answers, or why it did not run."""
    client = connection.client
    # Without a room it may still run: `/join` is for those who are in none.
    room = room_in(connection, request.room) if request.room else connection.room
    if isinstance(room, Refuse):
        return room
    commands = client.server.commands
    command = commands.get(request.name)
    if command is None:
        known = [f"/{name}" for name, each in commands.items() if each.refusal(client, room) is None]
        nearest = suggestion(f"/{request.name}", known)
        return Refuse(f"there is no command /{request.name}{nearest}", "unknown_command")
    refusal = command.refusal(client, room)
    if refusal is not None:
        return refusal
    try:
        # As if they had been typed: a line break in them could end up in what others are told.
        answer = command.run_in(client, printable(request.arguments), room)
        if inspect.isawaitable(answer):
            answer = await answer
    except Exception as error:
        # An OSError, such as a deadline, is about the world, not about the code of the plugin.
        trace = None if isinstance(error, OSError) else error
        logger.error("plugin %r failed in /%s: %s", command.plugin, command.name, error, exc_info=trace)
        return Refuse(f"/{command.name} of the plugin {command.plugin!r} failed", "failed")
    return answer if isinstance(answer, Refuse) else Answer(answer or "")
