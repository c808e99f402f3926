"""What travels through the house: messages, and the answers that a plugin may give to one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from trichat._base.text import printable

LOBBY = "lobby"
"""The room that everyone is in."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["said", "joined", "left", "notice"]


# It holds nothing that could lead back to it. Untracked, a flood does not set the garbage collector going, which would
# walk through all that the server has, for 10 ms at a time.
class Message(msgspec.Struct, frozen=True, gc=False):
    """One line of a room: what a person said, that somebody joined or left, or a notice of the server.

    A message cannot be changed, and it cannot hold anything that would break a line or that a terminal would obey: its
    text is cleaned when it is made. Raises `ValueError` for what cannot be a name or a room.
    """

    text: str
    """What is shown; for every kind but `"said"` the whole sentence, such as `"alice joined"`."""
    sender: str = ""
    """The name of the person it is about; empty for a notice."""
    room: str = LOBBY
    kind: Kind = "said"
    id: int = 0
    """Microseconds since 1970 (UTC), strictly increasing along the one order; 0 until it has its place there."""

    def __post_init__(self) -> None:
        # Nearly every message is printable already, so that these checks are all that it costs.
        if not self.text.isprintable():
            _set(self, "text", printable(self.text))
        if not _can_be_sender(self.sender):
            raise ValueError(f"{self.sender!r} cannot be a name")
        if self.room != LOBBY and (not self.room.isprintable() or " " in self.room or not self.room):
            raise ValueError(f"{self.room!r} cannot be a room: it has to be one word")

    @property
    def time(self) -> datetime:
        """When it got its place in the order, in UTC; 1970 before that."""
        return _EPOCH + timedelta(microseconds=self.id)

    # What differs is set in a copy: to make a message anew, and to check again what is the same, takes twice as long.

    def with_text(self, text: str) -> "Message":
        """The same message, saying `text` instead."""
        changed = _copy(self)
        _set(changed, "text", text if text.isprintable() else printable(text))
        return changed

    def with_id(self, id: int) -> "Message":
        """The same message at its place in the order."""
        numbered = _copy(self)
        _set(numbered, "id", id)
        return numbered


_copy: Callable[[Message], Message] = Message.__copy__  # type: ignore[attr-defined]
_set = msgspec.structs.force_setattr


def with_ids(messages: Sequence[Message], first: int) -> Sequence[Message]:
    """The same messages at their places in the order: `first`, and those that follow it."""
    numbered = tuple(map(_copy, messages))
    for id, message in enumerate(numbered, first):
        _set(message, "id", id)
    return numbered


@lru_cache(maxsize=1024)
def _can_be_sender(name: str) -> bool:
    # Persian and Indic names may hold joiners (RFC 8266), which take no place and say how the letters beside them look.
    shown = name.replace("\u200c", "").replace("\u200d", "")
    return shown.isprintable() and ":" not in name and not name.startswith(("*", "["))


class Refuse(msgspec.Struct, frozen=True):
    """The answer of a plugin: no. `reason` is told to the client."""

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise TypeError(f"a reason is a sentence for the client, not {self.reason!r}")


class Handled(msgspec.Struct, frozen=True):
    """The answer of a plugin to a message: it was for me, it goes no further."""
