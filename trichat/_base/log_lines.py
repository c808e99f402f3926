"""The lines of a chat log: one line a message, for people to read and for programs to read back.

A line is `2026-11-22T13:29:00.123456Z lobby alice: hello`. It is `... lobby * alice joined` for a person who joined or
left, and `... lobby ** back at noon` for a notice of the server. A room has no space, a name has no colon and does not
begin with `*`, so a line is read back exactly, whatever its text is.
"""

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from trichat._base.messages import Message

_LINE = re.compile(
    r"(\S+) (\S+) "  # date and room
    r"(?:\*\* (.*)"  # what the server said
    r"|\* ((.*) (joined|left))"
    r"|([^*:][^:]*): (.*))"  # a person
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = [f"{number:03}" for number in range(1000)]


def format_log_lines(messages: Iterable[Message]) -> str:
    """Return the lines of a chat log for `messages`, each with its line end."""
    lines = []
    start, stamp = -1000, ""
    for message in messages:
        # The ids of a batch are consecutive, so nearly all of their dates differ only in the last digits.
        microseconds = message.id - start
        if not 0 <= microseconds < 1000:
            milliseconds, microseconds = divmod(message.id, 1000)
            start, stamp = milliseconds * 1000, _stamp(milliseconds)
        if message.kind == "said":
            lines.append(f"{stamp}{_DIGITS[microseconds]}Z {message.room} {message.sender}: {message.text}\n")
        else:
            mark = "**" if message.kind == "notice" else "*"
            lines.append(f"{stamp}{_DIGITS[microseconds]}Z {message.room} {mark} {message.text}\n")
    return "".join(lines)


def _stamp(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{_date(seconds)}.{_DIGITS[milliseconds]}"


@lru_cache(maxsize=16)
def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def parse_log_line(line: bytes) -> Message | None:
    """Return the message in a line (without its line end), or `None` if `format_log_lines` did not write it."""
    match = _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None or b"\0" in line:  # a message holds no NUL: the line was torn
        return None
    date, room, notice, presence, who, did, sender, text = match.groups()
    try:
        id = (datetime.fromisoformat(date) - _EPOCH) // _MICROSECOND
        if notice is not None:
            return Message(notice, "", room, "notice", id)
        if presence is not None:
            return Message(presence, who, room, "joined" if did == "joined" else "left", id)
        return Message(text, sender, room, "said", id)
    except (ValueError, TypeError):
        return None
