"""Telnet commands in a stream of text (RFC 854), to be dropped: `telnet` serves as a client wherever `nc` does."""

import re

_IAC, _SB = b"\xff", b"\xfa"
_IAC_BYTE = 0xFF

# A subnegotiation up to its IAC SE, and the commands: with an option (WILL, WONT, DO, DONT) or alone.
_OPEN_SUBNEGOTIATION = rb"\xff\xfa[^\xff]*(?:\xff[^\xf0][^\xff]*)*"
_COMMAND = rb"(?:\xff[\xfb-\xfe][\x00-\xff]|\xff[^\xfa-\xfe]|" + _OPEN_SUBNEGOTIATION + rb"\xff\xf0)"

# Whole chunks are matched: a step of Python for each byte of a command would take hundreds of times what text takes,
# and whoever sends nothing but commands needs no name for it.
_WHOLE_COMMAND = re.compile(_COMMAND)
_UP_TO_AN_UNFINISHED_ONE = re.compile(rb"[^\xff]*(?:" + _COMMAND + rb"[^\xff]*)*")
_OPEN = re.compile(_OPEN_SUBNEGOTIATION)


class TelnetFilter:
    """Drops telnet commands, wherever the chunks are cut. Keeps of a command only what says where in it the cut is."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = b""
        """A command that is as good as the one that has begun: at most three bytes."""

    def strip(self, data: bytes) -> bytes:
        """Return `data` without telnet commands."""
        # IAC is no byte of UTF-8, so a chunk without it is text as it stands: the way of nearly every chunk. It is
        # looked for as a number: Python takes bytes for a number first, and makes an error of it that nobody sees.
        if not self._begun and _IAC_BYTE not in data:
            return data
        data = self._begun + data
        whole = _UP_TO_AN_UNFINISHED_ONE.match(data)
        assert whole is not None, "it matches nothing as well"
        # What is inside a subnegotiation is never looked at again, but for an IAC at its end.
        self._begun = _OPEN.sub(_IAC + _SB, data[whole.end() :])
        return _WHOLE_COMMAND.sub(b"", whole[0])
