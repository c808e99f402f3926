"""Telnet commands are dropped from the text, wherever they are cut."""

import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat._fronts.line.telnet import TelnetFilter

IAC, DONT, DO, WONT, WILL, SB, IP, NOP, SE = (bytes([byte]) for byte in (255, 254, 253, 252, 251, 250, 244, 241, 240))
ECHO, NAWS, TIMING_MARK = b"\x01", b"\x1f", b"\x06"

# Whole commands: each leaves nothing of itself.
COMMANDS = {
    "will": IAC + WILL + ECHO,
    "wont": IAC + WONT + ECHO,
    "do": IAC + DO + NAWS,
    "dont": IAC + DONT + NAWS,
    "an option that looks like LF": IAC + DO + b"\n",
    "an option that looks like SB": IAC + DO + SB,
    "an option that looks like IAC": IAC + WILL + IAC,
    "nop": IAC + NOP,
    "a stray end of a subnegotiation": IAC + SE,
    "an escaped IAC, which is no text": IAC + IAC,
    "ctrl-c": IAC + IP + IAC + DO + TIMING_MARK,
    "subnegotiation": IAC + SB + NAWS + b"\x00\x50\x00\x18" + IAC + SE,
    "empty subnegotiation": IAC + SB + IAC + SE,
    "subnegotiation with LF": IAC + SB + NAWS + b"\n\r\n" + IAC + SE,
    "subnegotiation with an escaped IAC": IAC + SB + NAWS + b"a" + IAC + IAC + b"b" + IAC + SE,
    "subnegotiation with an escaped IAC before SE": IAC + SB + NAWS + IAC + IAC + SE + IAC + SE,
    "subnegotiation with a bare SE": IAC + SB + NAWS + SE + IAC + SE,
    "subnegotiation with another command": IAC + SB + NAWS + IAC + WILL + ECHO + IAC + SE,
    "what a client sends first": IAC + DO + b"\x03" + IAC + WILL + b"\x18" + IAC + WILL + NAWS,
}

commands = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())

# Bytes among which commands are frequent.
hard_bytes = st.lists(
    st.sampled_from([IAC, SB, SE, WILL, DO, b"a", b"\n", *COMMANDS.values()]) | st.binary(max_size=3), max_size=20
).map(b"".join)

text_bytes = st.binary().map(lambda data: data.replace(IAC, b""))


def strip(*chunks: bytes) -> bytes:
    """What a new filter leaves of these chunks."""
    telnet = TelnetFilter()
    return b"".join(telnet.strip(chunk) for chunk in chunks)


def text_of(data: bytes) -> bytes:
    """What is left of `data`, taken byte by byte, as RFC 854 is read."""
    text, state = b"", "text"
    for byte in (data[place : place + 1] for place in range(len(data))):
        match state:
            case "text" if byte == IAC:
                state = "command"
            case "text":
                text += byte
            case "command" if byte == SB:
                state = "subnegotiation"
            case "command" if byte in (WILL, WONT, DO, DONT):
                state = "option"
            case "command" | "option":
                state = "text"
            case "subnegotiation" if byte == IAC:
                state = "command in a subnegotiation"
            case "command in a subnegotiation":
                state = "text" if byte == SE else "subnegotiation"
    return text


def steps(function: Callable[[], object]) -> int:
    """How many lines of the wire are executed in it."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_globals["__name__"].startswith("trichat._fronts") else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


@commands
def test_a_command_leaves_nothing(command: bytes) -> None:
    assert strip(command) == b""


@commands
def test_a_command_leaves_the_text_around_it(command: bytes) -> None:
    assert strip(b"hel" + command + b"lo\r\n") == b"hello\r\n"


@commands
def test_a_command_is_dropped_byte_by_byte(command: bytes) -> None:
    assert strip(*[bytes([byte]) for byte in b"hel" + command + b"lo\n"]) == b"hello\n"


@commands
def test_a_command_is_dropped_wherever_it_is_cut(command: bytes) -> None:
    data = b"hel" + command + b"lo\n"
    for cut in range(len(data) + 1):
        assert strip(data[:cut], data[cut:]) == b"hello\n", f"cut at {cut}"


@commands
def test_a_command_does_not_change_the_next_one(command: bytes) -> None:
    for name, following in COMMANDS.items():
        assert strip(b"hel" + command + following + b"lo") == b"hello", name


@pytest.mark.parametrize(
    "unfinished", [IAC, IAC + WILL, IAC + SB, IAC + SB + NAWS + b"abc\n", IAC + SB + NAWS + IAC], ids=repr
)
def test_an_unfinished_command_leaves_the_text_before_it(unfinished: bytes) -> None:
    assert strip(b"hello" + unfinished) == b"hello"


def test_text_goes_through_before_its_line_is_complete() -> None:
    telnet = TelnetFilter()

    assert telnet.strip(b"hel") == b"hel"
    assert telnet.strip(b"lo" + IAC) == b"lo"
    assert telnet.strip(NOP + b"!") == b"!"


@given(text_bytes)
def test_text_without_commands_is_unchanged(text: bytes) -> None:
    assert strip(text) == text


@given(st.lists(st.tuples(text_bytes, st.sampled_from(list(COMMANDS.values())))))
def test_all_text_between_commands_is_left(parts: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(text + command for text, command in parts)

    assert strip(data) == b"".join(text for text, _ in parts)


@given(data=hard_bytes, cuts=st.sets(st.integers(1, 200)))
def test_any_bytes_in_any_chunks_leave_the_same_as_in_one_go(data: bytes, cuts: set[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    chunks = [data[start:end] for start, end in pairwise(places)]

    assert strip(*chunks) == strip(data)


@given(hard_bytes)
def test_no_iac_is_left(data: bytes) -> None:
    assert IAC not in strip(data)


@given(data=hard_bytes, cuts=st.sets(st.integers(1, 200)))
def test_any_bytes_in_any_chunks_leave_what_they_leave_byte_by_byte(data: bytes, cuts: set[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]

    assert strip(*(data[start:end] for start, end in pairwise(places))) == text_of(data)


@commands
def test_a_thousand_commands_take_no_more_steps_than_one(command: bytes) -> None:
    assert steps(lambda: strip(command * 1000)) == steps(lambda: strip(command))


@pytest.mark.parametrize("inside", [b"x", IAC + NOP, IAC + IAC, IAC + SB, b"x" + IAC + WILL], ids=repr)
def test_a_long_subnegotiation_takes_no_more_steps_than_a_short_one(inside: bytes) -> None:
    assert steps(lambda: strip(IAC + SB + inside * 1000)) == steps(lambda: strip(IAC + SB + inside))
