"""Messages, and the answers that a plugin may give to one."""

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


# `gc=False`: a message holds nothing that could lead back to it. If messages were tracked, a flood would start the
# garbage collector, which walks through everything the server has, for 10 ms at a time.
class Message(msgspec.Struct, frozen=True, gc=False):
    """One line of a room: what a person said, that somebody joined or left, or a notice of the server.

    A message is immutable. Its text is cleaned when the message is made, so it holds nothing that would break a line or
    that a terminal would obey. Raises `ValueError` if the sender cannot be a name or the room cannot be a room.
    """

    text: str
    """What is shown. For every kind but `"said"`, the whole sentence, such as `"alice joined"`."""
    sender: str = ""
    """The name of the person it is about; empty for a notice."""
    room: str = LOBBY
    kind: Kind = "said"
    id: int = 0
    """Microseconds since 1970 (UTC), strictly increasing along the one order; 0 until it has its place there."""

    def __post_init__(self) -> None:
        # Nearly every message is printable already, so these checks are all that it costs.
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

    # The difference is set in a copy. Making a new message would check again what is the same, and take twice as long.

    def with_text(self, text: str) -> "Message":
        """Return the same message with `text` instead."""
        changed = _copy(self)
        _set(changed, "text", text if text.isprintable() else printable(text))
        return changed

    def with_id(self, id: int) -> "Message":
        """Return the same message at its place in the order."""
        numbered = _copy(self)
        _set(numbered, "id", id)
        return numbered


_copy: Callable[[Message], Message] = Message.__copy__  # type: ignore[attr-defined]
_set = msgspec.structs.force_setattr


def with_ids(messages: Sequence[Message], first: int) -> Sequence[Message]:
    """Return the same messages at their places in the order: `first`, and the ids that follow it."""
    numbered = tuple(map(_copy, messages))
    for id, message in enumerate(numbered, first):
        _set(message, "id", id)
    return numbered


@lru_cache(maxsize=1024)
def _can_be_sender(name: str) -> bool:
    # Persian and Indic names may hold joiners (RFC 8266): they take no space and say how the letters next to them look.
    shown = name.replace("\u200c", "").replace("\u200d", "")
    return shown.isprintable() and ":" not in name and not name.startswith(("*", "["))


class Refuse(msgspec.Struct, frozen=True):
    """A plugin's answer: no. The client is told the `reason`."""

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise TypeError(f"a reason is a sentence for the client, not {self.reason!r}")


class Handled(msgspec.Struct, frozen=True):
    """A plugin's answer to a message: it was for this plugin, and goes no further."""
