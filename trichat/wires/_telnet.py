"""Telnet commands in a stream of text (RFC 854), to be dropped: `telnet` serves as a client wherever `nc` does."""

from enum import Enum, auto

_SE, _SB, _WILL, _DONT, _IAC = 240, 250, 251, 254, 255


class _State(Enum):
    TEXT = auto()
    COMMAND = auto()
    OPTION = auto()
    SUBNEGOTIATION = auto()
    SUBNEGOTIATION_COMMAND = auto()


class TelnetFilter:
    """Drops telnet commands, wherever the chunks are cut. Keeps no bytes, only where in a command it is."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = _State.TEXT

    def strip(self, data: bytes) -> bytes:
        """Return `data` without telnet commands."""
        # IAC is no byte of UTF-8, so a chunk without it is text as it stands: the way of nearly every chunk.
        if self._state is _State.TEXT and _IAC not in data:
            return data
        text = bytearray()
        for byte in data:
            if self._state is _State.TEXT and byte != _IAC:
                text.append(byte)
            else:
                self._state = _after(self._state, byte)
        return bytes(text)


def _after(state: _State, byte: int) -> _State:
    match state:
        case _State.TEXT:
            return _State.COMMAND
        case _State.COMMAND if byte == _SB:
            return _State.SUBNEGOTIATION
        case _State.COMMAND if _WILL <= byte <= _DONT:
            return _State.OPTION
        case _State.SUBNEGOTIATION if byte == _IAC:
            return _State.SUBNEGOTIATION_COMMAND
        case _State.SUBNEGOTIATION:
            return _State.SUBNEGOTIATION
        case _State.SUBNEGOTIATION_COMMAND if byte != _SE:
            return _State.SUBNEGOTIATION
        case _:
            return _State.TEXT
