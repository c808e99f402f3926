"""Telnet commands are dropped from the text, wherever they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat.wires._telnet import TelnetFilter

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
