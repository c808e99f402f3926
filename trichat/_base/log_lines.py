r"""The lines of a chat log: one line a message, for people to read and for programs to read back.

Most lines have one of four simple forms: `2026-11-22T13:29:00.123456Z lobby alice: hello` for a person who says one
line, `... lobby * alice joined` and `... lobby * alice left`, and `... lobby ** back at noon` for a notice of the
server. Everything else names its kind: `... lobby,dev *renamed alice: bob`, or `... lobby *said;re=42 alice: one\ntwo`
(`_full_form`). A line break and a backslash are escaped in these lines alone, so that the simple ones stay as they are.

A room has no space and no comma, a name has no colon and does not begin with `*`. So a line is read back exactly,
whatever its text is, and no text can pretend to be another line.
"""

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast, get_args

from trichat._base.messages import Kind, Message, may_be_about

_LINE = re.compile(
    r"(\S+) (\S+) "  # date and rooms
    r"(?:\*\* (.*)"  # what the server said
    r"|\* (.*) (joined|left)"
    r"|([^*:][^:]*): (.*)"  # a person
    r"|\*([a-z]+)(?:;re=(\d{1,19}))? ([^:]*)(?:: (.*))?)"  # the full form
)
_KINDS = frozenset(get_args(Kind))
_NO_ROOM = "-"
_ESCAPED = re.compile(r"\\([\\n])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = [f"{number:03}" for number in range(1000)]


def format_log_lines(messages: Iterable[Message]) -> str:
    """Return the lines of a chat log for `messages`, each with its line end."""
    lines = []
    start, stamp = -1000, ""
    for message in messages:
        # Most ids of a batch follow each other closely, so their dates differ only in the last digits.
        microseconds = message.id - start
        if not 0 <= microseconds < 1000:
            milliseconds, microseconds = divmod(message.id, 1000)
            start, stamp = milliseconds * 1000, _stamp(milliseconds)
        if message.bare or _is_simple(message):  # nearly all messages are bare
            lines.append(f"{stamp}{_DIGITS[microseconds]}Z {message.rooms[0]} {message.sender}: {message.text}\n")
        else:
            lines.append(f"{stamp}{_DIGITS[microseconds]}Z {_simple_form(message) or _full_form(message)}\n")
    return "".join(lines)


def _is_simple(message: Message) -> bool:
    """Return whether it is one line that somebody said in a room."""
    return message.kind == "said" and len(message.rooms) == 1 and not message.reply_to and "\n" not in message.text


def _simple_form(message: Message) -> str:
    """Return an event or a notice in the form that version 0.1 wrote, or nothing if it has more to tell than that."""
    if len(message.rooms) == 1 and not message.reply_to:
        room, text = message.rooms[0], message.text
        if message.kind in ("joined", "left") and not text:
            return f"{room} * {message.sender} {message.kind}"
        if message.kind == "notice" and not message.sender and "\n" not in text:
            return f"{room} ** {text}"
    return ""


def _full_form(message: Message) -> str:
    """Return `ROOMS *KIND[;re=ID] NAME[: OTHER][: TEXT]`, with `OTHER` for a message that is about another name."""
    rooms = ",".join(message.rooms) or _NO_ROOM
    reply = f";re={message.reply_to}" if message.reply_to else ""
    text = message.text.replace("\\", "\\\\").replace("\n", "\\n")
    if may_be_about(message.kind, message.rooms):
        text = f"{message.about}: {text}" if text else message.about
    return f"{rooms} *{message.kind}{reply} {message.sender}{f': {text}' if text else ''}"


def _stamp(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{_date(seconds)}.{_DIGITS[milliseconds]}"


@lru_cache(maxsize=16)
def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def parse_log_line(line: bytes) -> Message | None:
    """Return the message in a line (without its line end), or `None` if `format_log_lines` did not write it."""
    match = None if b"\0" in line else _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None:  # with a NUL, which no message holds, the line was torn
        return None
    date, rooms, notice, who, did, sender, text, kind, reply_to, name, rest = match.groups()
    try:
        id = (datetime.fromisoformat(date) - _EPOCH) // _MICROSECOND
        if kind is not None:
            return _parse_full_form(id, rooms, kind, name, int(reply_to or 0), rest or "")
        if notice is not None:
            return Message(notice, "", (rooms,), "notice", id)
        if did is not None:
            return Message("", who, (rooms,), "joined" if did == "joined" else "left", id)
        return Message(text, sender, (rooms,), "said", id)
    except (ValueError, TypeError):
        return None


def _parse_full_form(id: int, rooms: str, kind: str, name: str, reply_to: int, rest: str) -> Message | None:
    if kind not in _KINDS:
        return None  # of a later version
    in_rooms = () if rooms == _NO_ROOM else tuple(rooms.split(","))
    about = ""
    if may_be_about(kind, in_rooms):
        about, _, rest = rest.partition(": ")
    text = _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else "\\", rest)
    return Message(text, name, in_rooms, cast("Kind", kind), id, about, reply_to)
