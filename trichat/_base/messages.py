"""Messages, and the answers that a plugin may give to one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from trichat._base.text import printable

LOBBY = "lobby"
"""The room that people enter first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["said", "did", "noticed", "joined", "left", "quit", "renamed", "topic", "kicked", "notice", "control"]
"""What a message tells.

Words of people: `said`; `did` (`/me waves`); `noticed`, which a program says under a name of its own.
Events: `joined` and `left` a room; `quit`, which leaves all rooms at once; `renamed`, with the new name in `about`;
`topic`, with the new topic as the text; `kicked`, with the name of who was kicked in `about`.
`notice`: words of the server. `control`: for programs; no client ever sees it.
"""

OF_SEVERAL_LINES = frozenset[Kind]({"said", "did", "noticed", "notice"})
"""The kinds whose text may have several lines."""


def may_be_about(kind: str, rooms: tuple[str, ...]) -> bool:
    """Return whether such a message may have another name in `about`."""
    return kind in ("renamed", "kicked") or not rooms


# `gc=False`: a message holds nothing that could lead back to it. If messages were tracked, a flood would start the
# garbage collector, which walks through everything the server has, for 10 ms at a time.
class Message(msgspec.Struct, frozen=True, gc=False):
    """What is said in a room, or what happens there.

    A message is immutable. Its text is cleaned when the message is made, so it holds nothing that would break a line or
    that a terminal would obey. Raises `ValueError` if the sender cannot be a name, a room cannot be a room, or a
    `control` message has a room.
    """

    text: str
    """The words of a person or of the server, in several lines if the kind allows it; for `joined`, `left`, `quit` and
    `kicked` the reason, if one was given. `sentence` says in English what happened."""
    sender: str = ""
    """The name of the person who said or did it; empty for the server."""
    rooms: tuple[str, ...] = (LOBBY,)
    """The rooms that see it: several for `quit` and `renamed`, none for `control` and what is meant for one person."""
    kind: Kind = "said"
    id: int = 0
    """Microseconds since 1970 (UTC), strictly increasing along the one order; 0 until it has its place there."""
    about: str = ""
    """Another name: the new name (`renamed`), who was kicked (`kicked`), or the one person it is meant for."""
    reply_to: int = 0
    """The id of the message that it answers, or 0."""
    bare: bool = False
    """Whether it is one line that somebody typed on the line protocol, where such a line may be a command (`bye`)."""

    def __post_init__(self) -> None:
        # Nearly every message is printable already, so these checks are all that it costs.
        if not self.text.isprintable():
            _set(self, "text", _printable(self.text, self.kind))
        if not _can_be_name(self.sender):
            raise ValueError(f"{self.sender!r} cannot be a name")
        if self.about:
            _check_about(self)
        if self.rooms != (LOBBY,):
            _check_rooms(self.rooms)
        if self.kind == "control" and self.rooms:
            raise ValueError(f"no room sees a message of the kind 'control'; its rooms are (), not {self.rooms!r}")

    @property
    def room(self) -> str:
        """The room that sees it, or the first of several; empty if there is none."""
        return self.rooms[0] if self.rooms else ""

    @property
    def time(self) -> datetime:
        """When it got its place in the order, in UTC; 1970 before that."""
        return _EPOCH + timedelta(microseconds=self.id)

    def sentence(self) -> str:
        """Return it in English as one text, such as `alice: hello` or `alice joined`."""
        return _SENTENCES[self.kind](self)

    # The difference is set in a copy. Making a new message would check again what is the same, and take twice as long.

    def with_text(self, text: str) -> "Message":
        """Return the same message with `text` instead."""
        changed = _copy(self)
        if text.isprintable():
            _set(changed, "text", text)
        else:
            _set(changed, "text", _printable(text, self.kind))
            if "\n" in changed.text:
                _set(changed, "bare", False)
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


def _because(message: Message) -> str:
    return f": {message.text}" if message.text else ""


def _kicked(message: Message) -> str:
    by = f" by {message.sender}" if message.sender else ""
    return f"{message.about} was kicked{by}{_because(message)}"


def _topic(message: Message) -> str:
    did = f"set the topic: {message.text}" if message.text else "removed the topic"
    return f"{message.sender or 'the server'} {did}"


_SENTENCES: dict[Kind, Callable[[Message], str]] = {
    "said": lambda message: f"{message.sender}: {message.text}",
    "did": lambda message: f"{message.sender} {message.text}",
    "noticed": lambda message: f"[{message.sender}] {message.text}",
    "joined": lambda message: f"{message.sender} joined",
    "left": lambda message: f"{message.sender} left{_because(message)}",
    "quit": lambda message: f"{message.sender} left{_because(message)}",
    "renamed": lambda message: f"{message.sender} is now {message.about}",
    "topic": _topic,
    "kicked": _kicked,
    "notice": lambda message: message.text,
    "control": lambda _: "",
}


def _printable(text: str, kind: Kind) -> str:
    if kind not in OF_SEVERAL_LINES:
        return printable(text)
    return "\n".join(map(printable, text.split("\n")))


@lru_cache(maxsize=1024)
def _can_be_name(name: str) -> bool:
    # Persian and Indic names may hold joiners (RFC 8266): they take no space and say how the letters next to them look.
    shown = name.replace("\u200c", "").replace("\u200d", "")
    return shown.isprintable() and ":" not in name and not name.startswith(("*", "["))


def _check_about(message: Message) -> None:
    if not _can_be_name(message.about):
        raise ValueError(f"{message.about!r} cannot be a name")
    if not may_be_about(message.kind, message.rooms):
        raise ValueError(f"a message of the kind {message.kind!r} in a room is about nobody, not {message.about!r}")


@lru_cache(maxsize=1024)
def _check_rooms(rooms: tuple[str, ...]) -> None:
    """Raise `ValueError` unless each of them can be a room.

    A log line begins with the rooms, separated by commas and followed by a space; `-` there means that it has none.
    """
    if not isinstance(rooms, tuple):
        raise ValueError(f"the rooms of a message are a tuple, not {rooms!r}")
    for room in rooms:
        if not room.isprintable() or " " in room or "," in room or room in ("", "-"):
            raise ValueError(f"{room!r} cannot be a room: it has to be one word without a comma")


Code = Literal[
    "refused",
    "name_taken",
    "name_invalid",
    "no_such_name",
    "no_such_room",
    "not_in_room",
    "banned",
    "invite_only",
    "wrong_key",
    "room_full",
    "not_permitted",
    "usage",
    "unknown_command",
    "too_long",
    "login_required",
    "too_fast",
    "failed",
]
"""Why something was refused, for programs. Each front has its own form for it."""


class Refuse(msgspec.Struct, frozen=True):
    """A plugin's answer: no. The client is told the `reason`; a program also gets the `code`."""

    reason: str
    code: Code = "refused"

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise TypeError(f"a reason is a sentence for the client, not {self.reason!r}")


class Handled(msgspec.Struct, frozen=True):
    """A plugin's answer to a message: it was for this plugin, and goes no further."""
