"""The names of rooms: prepared like those of people, in lower case, and of one word."""

from trichat._base import nicknames


class InvalidRoom(ValueError):
    """The text cannot be the name of a room. The message tells the person who typed it why."""


def prepare(text: str) -> str:
    """Return the name of the room that `text` means. A `#` in front is dropped. Raises `InvalidRoom`."""
    try:
        name = nicknames.prepare(text.strip().removeprefix("#"))
    except nicknames.InvalidName as invalid:
        raise InvalidRoom(f"{invalid}, and a room is named like a person") from None
    room = nicknames.comparison_key(name)
    if " " in room:
        raise InvalidRoom("the name of a room is one word")
    if room == "-":
        raise InvalidRoom("a room cannot be named '-'")
    return room
