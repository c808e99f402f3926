"""Drops telnet commands (RFC 854) from a stream of text, so that `telnet` can be used where `nc` can."""

import re

_IAC, _SB = b"\xff", b"\xfa"
_IAC_BYTE = 0xFF

# A subnegotiation up to its IAC SE, and the commands: with an option (WILL, WONT, DO, DONT) or alone.
_OPEN_SUBNEGOTIATION = rb"\xff\xfa[^\xff]*(?:\xff[^\xf0][^\xff]*)*"
_COMMAND = rb"(?:\xff[\xfb-\xfe][\x00-\xff]|\xff[^\xfa-\xfe]|" + _OPEN_SUBNEGOTIATION + rb"\xff\xf0)"

# Whole chunks are matched. A step of Python for each byte of a command would take hundreds of times what text takes,
# and a client can send nothing but commands without even giving a name.
_WHOLE_COMMAND = re.compile(_COMMAND)
_UP_TO_AN_UNFINISHED_ONE = re.compile(rb"[^\xff]*(?:" + _COMMAND + rb"[^\xff]*)*")
_OPEN = re.compile(_OPEN_SUBNEGOTIATION)


class TelnetFilter:
    """Drops telnet commands, wherever the chunks are cut. Of a cut command it keeps only where the cut is."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = b""
        """A command equivalent to the one that has begun: at most three bytes."""

    def strip(self, data: bytes) -> bytes:
        """Return `data` without telnet commands."""
        # IAC is not a byte of UTF-8, so a chunk without it is plain text, as nearly every chunk is. Searching for a
        # number is quicker: given bytes, Python tries a number first, and raises an error that nobody sees.
        if not self._begun and _IAC_BYTE not in data:
            return data
        data = self._begun + data
        whole = _UP_TO_AN_UNFINISHED_ONE.match(data)
        assert whole is not None, "the pattern also matches nothing"
        # The inside of a subnegotiation is never looked at again, except for an IAC at its end.
        self._begun = _OPEN.sub(_IAC + _SB, data[whole.end() :])
        return _WHOLE_COMMAND.sub(b"", whole[0])
