"""Cursors: up to where a client has read a room. A cursor is an id, in a form with which nobody does arithmetic."""

import re

_CURSOR = re.compile(r"c([0-9a-f]{1,16})")


def cursor_at(id: int) -> str:
    """Return the cursor of a client that has read the room up to the message with this id."""
    return f"c{id:x}"


def id_at(cursor: str) -> int:
    """Return the id of the last message that the client has read. Raises `ValueError` if it is not a cursor."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError(f"{cursor!r} is not a cursor; send one as it was received")
    return int(found[1], 16)
