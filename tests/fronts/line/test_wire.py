"""Lines out of messages."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Message
from trichat._base.messages import Kind
from trichat._fronts.line.wire import LineWire


def notice(text: str) -> Message:
    """Return what the server says to one client."""
    return Message(text, rooms=(), kind="notice")


WIRE = LineWire()
NOON = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()) * 1_000_000

KINDS = pytest.mark.parametrize(
    ("message", "line"),
    [
        pytest.param(Message("hello", "alice"), "alice: hello", id="said"),
        pytest.param(Message("waves", "alice", kind="did"), "** alice waves", id="did"),
        pytest.param(Message("left", "alice", kind="did"), "** alice left", id="did what looks like an event"),
        pytest.param(Message("build 7 is green", "ci", kind="noticed"), "* [ci] build 7 is green", id="noticed"),
        pytest.param(Message("", "alice", kind="joined"), "* alice joined", id="joined"),
        pytest.param(Message("", "alice", kind="left"), "* alice left", id="left"),
        pytest.param(Message("", "alice", ("lobby", "dev"), "quit"), "* alice left", id="quit"),
        pytest.param(Message("", "alice", kind="renamed", about="al"), "* alice is now al", id="renamed"),
        pytest.param(Message("tea is ready", kind="notice"), "* tea is ready", id="notice"),
        pytest.param(Message("", "alice"), "alice: ", id="said nothing"),
        pytest.param(Message("日本 🦑\there", "Zoë"), "Zoë: 日本 🦑\there", id="not only ASCII"),
    ],
)


@KINDS
def test_a_live_message_is_a_line(message: Message, line: str) -> None:
    assert WIRE.encode([message]) == f"{line}\n".encode()


@KINDS
def test_a_message_of_the_past_is_a_line_behind_its_date(message: Message, line: str) -> None:
    assert WIRE.encode_history("lobby", [message.with_id(NOON)]) == f"[2026-11-22 12:00:00] {line}\n".encode()


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (Message("one\nbob: two", "alice"), ["alice: one", "alice: bob: two"]),
        (Message("waves\n* bob left", "alice", kind="did"), ["** alice waves", "** alice * bob left"]),
        (Message("one\n\ntwo", "ci", kind="noticed"), ["* [ci] one", "* [ci] ", "* [ci] two"]),
        (Message("one\ntwo", kind="notice"), ["* one", "* two"]),
    ],
)
def test_each_line_of_a_message_says_who_said_it(message: Message, lines: list[str]) -> None:
    assert WIRE.encode([Message("x", "bob"), message]).decode().splitlines() == ["bob: x", *lines]
    assert WIRE.encode_history("lobby", [message.with_id(NOON)]).decode().splitlines() == [
        f"[2026-11-22 12:00:00] {line}" for line in lines
    ]


@pytest.mark.parametrize(
    ("id", "date"),
    [
        (0, "1970-01-01 00:00:00"),
        (NOON + 999_999, "2026-11-22 12:00:00"),
        (NOON + 1_000_000, "2026-11-22 12:00:01"),
        (NOON - 1, "2026-11-22 11:59:59"),
    ],
)
def test_the_date_is_the_second_in_which_it_was_said(id: int, date: str) -> None:
    assert WIRE.encode_history("lobby", [Message("x", "bob", id=id)]) == f"[{date}] bob: x\n".encode()


@pytest.fixture
def _in_auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_auckland")
def test_the_date_is_in_utc_wherever_the_server_is() -> None:
    midnight = NOON + 12 * 3600 * 1_000_000

    assert WIRE.encode_history("lobby", [Message("x", "bob", id=midnight)]) == b"[2026-11-23 00:00:00] bob: x\n"


def test_messages_keep_their_order() -> None:
    messages = [Message("one", "alice", id=NOON), Message("two", "bob", id=NOON), Message("go", kind="notice", id=NOON)]

    assert WIRE.encode(messages) == b"alice: one\nbob: two\n* go\n"
    assert WIRE.encode_history("lobby", messages) == (
        b"[2026-11-22 12:00:00] alice: one\n[2026-11-22 12:00:00] bob: two\n[2026-11-22 12:00:00] * go\n"
    )


def test_no_messages_are_no_bytes() -> None:
    assert WIRE.encode([]) == b""
    assert WIRE.encode_history("lobby", []) == b""


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("welcome", b"* welcome\n"),
        ("one\ntwo\nthree", b"* one\n* two\n* three\n"),
        ("one\n\ntwo", b"* one\n* \n* two\n"),
        ("Zoë", "* Zoë\n".encode()),
        ("red \x1b[31malert\x07", b"* red alert\n"),
        ("one\r\ntwo\u2028three", b"* one\n* twothree\n"),
        ("\ud800", b"* \n"),
    ],
)
def test_each_line_of_a_notice_is_a_line_of_the_server(text: str, data: bytes) -> None:
    assert WIRE.encode([notice(text)]) == data


@given(
    st.builds(
        Message,
        text=st.text(st.characters(exclude_categories=())),
        sender=st.sampled_from(["", "alice", "Alice Liddell", "Zoë", "名前"]),
        kind=st.sampled_from(sorted(set(get_args(Kind)) - {"control"})),
        id=st.integers(0, 4_000_000_000_000_000),
    )
)
def test_whatever_a_message_says_is_one_line_for_each_of_its_lines(message: Message) -> None:
    for data in (WIRE.encode([message]), WIRE.encode_history("lobby", [message])):
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1 + message.text.count("\n")


@given(st.lists(st.text(st.characters(exclude_categories=(), exclude_characters="\n"))))
def test_whatever_a_notice_says_each_of_its_lines_is_marked(lines: Sequence[str]) -> None:
    received = WIRE.encode([notice("\n".join(lines))]).decode().split("\n")

    assert received.pop() == ""
    assert len(received) == max(1, len(lines))
    assert all(line.startswith("* ") for line in received)
