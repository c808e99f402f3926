"""How a person gets another name: it is held, plugins are asked, and everyone who shares a room is told."""

import logging

from trichat import hookspecs
from trichat._base import nicknames
from trichat._base.messages import Refuse
from trichat._chat.batch import Rename
from trichat._chat.client import Connection
from trichat._chat.context import Context

logger = logging.getLogger("trichat.session")


async def rename(context: Context, connection: Connection, text: str) -> Refuse | None:
    """Give the person of a client the name that `text` asks for; return why it cannot have it.

    Once the change has its place in the order, it happens whether or not the caller still waits.
    """
    presence, hub, before = connection.presence, context.hub, str(connection)
    try:
        name = nicknames.prepare(text)
    except nicknames.InvalidName as invalid:
        return Refuse(str(invalid), "name_invalid")
    if name == presence.name:
        return Refuse(f"you are {name} already")
    if not hub.hold(presence, name):
        return Refuse(f"the name {name!r} is taken", "name_taken")
    change = Rename(presence, name)
    is_handed_over = False
    try:
        refusal = await context.plugins.ask(hookspecs.on_rename, connection.client, name)
        if refusal is not None:
            return refusal
        await context.broadcaster.inbox.put(change)
        is_handed_over = True
    finally:
        if not is_handed_over:
            hub.let_go(presence, name)
    await change.done.wait()
    if change.failure is not None:
        return Refuse(str(change.failure), "failed")
    logger.info("%s is now %s", before, name)
    return None
