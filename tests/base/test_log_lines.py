"""The lines of a chat log: readable, and read back exactly."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_kit import FOREIGN

from trichat import Message, format_log_lines, parse_log_line
from trichat._base.messages import Kind, may_be_about
from trichat._base.nicknames import InvalidName, prepare

# 2026-11-22 13:29:00 UTC.
NOON = 1_795_354_140_000_000


def said(id: int, text: str = "hello", *, sender: str = "alice", room: str = "lobby") -> Message:
    return Message(text, sender, (room,), "said", id)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        pytest.param(said(NOON + 123_456), "2026-11-22T13:29:00.123456Z lobby alice: hello\n", id="said"),
        pytest.param(said(NOON + 7), "2026-11-22T13:29:00.000007Z lobby alice: hello\n", id="microseconds"),
        pytest.param(said(0), "1970-01-01T00:00:00.000000Z lobby alice: hello\n", id="the epoch"),
        pytest.param(said(NOON, ""), "2026-11-22T13:29:00.000000Z lobby alice: \n", id="empty"),
        pytest.param(said(NOON, "a: b"), "2026-11-22T13:29:00.000000Z lobby alice: a: b\n", id="colon"),
        pytest.param(said(NOON, "* b"), "2026-11-22T13:29:00.000000Z lobby alice: * b\n", id="asterisk"),
        pytest.param(said(NOON, " b "), "2026-11-22T13:29:00.000000Z lobby alice:  b \n", id="spaces"),
        pytest.param(
            said(NOON, "hi", sender="Ada L. * 1"), "2026-11-22T13:29:00.000000Z lobby Ada L. * 1: hi\n", id="name"
        ),
        pytest.param(said(NOON, "hi", room="dev"), "2026-11-22T13:29:00.000000Z dev alice: hi\n", id="room"),
        pytest.param(
            Message("", "Ada L", ("lobby",), "joined", NOON),
            "2026-11-22T13:29:00.000000Z lobby * Ada L joined\n",
            id="joined",
        ),
        pytest.param(
            Message("", "alice", ("lobby",), "left", NOON),
            "2026-11-22T13:29:00.000000Z lobby * alice left\n",
            id="left",
        ),
        pytest.param(
            Message("lunch: 12:30", "", ("lobby",), "notice", NOON),
            "2026-11-22T13:29:00.000000Z lobby ** lunch: 12:30\n",
            id="notice",
        ),
        pytest.param(
            said(NOON, "for x:\n    print('\\n')"),
            "2026-11-22T13:29:00.000000Z lobby *said alice: for x:\\n    print('\\\\n')\n",
            id="several lines",
        ),
        pytest.param(
            Message("yes", "bob", ("dev",), "said", NOON, reply_to=NOON - 5),
            "2026-11-22T13:29:00.000000Z dev *said;re=1795354139999995 bob: yes\n",
            id="reply",
        ),
        pytest.param(
            Message("waves", "alice", ("dev",), "did", NOON),
            "2026-11-22T13:29:00.000000Z dev *did alice: waves\n",
            id="did",
        ),
        pytest.param(
            Message("build 7 is green", "ci", ("dev",), "noticed", NOON),
            "2026-11-22T13:29:00.000000Z dev *noticed ci: build 7 is green\n",
            id="noticed",
        ),
        pytest.param(
            Message("lunch", "alice", ("dev",), "left", NOON),
            "2026-11-22T13:29:00.000000Z dev *left alice: lunch\n",
            id="left with a reason",
        ),
        pytest.param(
            Message("", "alice", ("lobby", "dev"), "quit", NOON),
            "2026-11-22T13:29:00.000000Z lobby,dev *quit alice\n",
            id="quit",
        ),
        pytest.param(
            Message("", "alice", ("lobby", "dev"), "renamed", NOON, "al"),
            "2026-11-22T13:29:00.000000Z lobby,dev *renamed alice: al\n",
            id="renamed",
        ),
        pytest.param(
            Message("beer at 5", "alice", ("dev",), "topic", NOON),
            "2026-11-22T13:29:00.000000Z dev *topic alice: beer at 5\n",
            id="topic",
        ),
        pytest.param(
            Message("enough: really", "alice", ("dev",), "kicked", NOON, "bob"),
            "2026-11-22T13:29:00.000000Z dev *kicked alice: bob: enough: really\n",
            id="kicked",
        ),
        pytest.param(
            Message("psst: hi", "alice", (), "said", NOON, "bob"),
            "2026-11-22T13:29:00.000000Z - *said alice: bob: psst: hi\n",
            id="private",
        ),
        pytest.param(
            Message("one\ntwo", "", ("dev",), "notice", NOON),
            "2026-11-22T13:29:00.000000Z dev *notice : one\\ntwo\n",
            id="notice of several lines",
        ),
    ],
)
def test_a_message_is_one_line_and_read_back_as_it_was(message: Message, line: str) -> None:
    assert format_log_lines([message]) == line
    assert parse_log_line(line.removesuffix("\n").encode()) == message


def test_each_line_of_a_batch_has_its_own_date() -> None:
    messages = [Message(str(id), "alice", id=id) for id in (999, 1_000, 1_001, 1_999_999, 2_000_000, 62_000_000)]
    dates = [line.split()[0] for line in format_log_lines(messages).splitlines()]
    assert dates == [
        "1970-01-01T00:00:00.000999Z",
        "1970-01-01T00:00:00.001000Z",
        "1970-01-01T00:00:00.001001Z",
        "1970-01-01T00:00:01.999999Z",
        "1970-01-01T00:00:02.000000Z",
        "1970-01-01T00:01:02.000000Z",
    ]


def _is_name(text: str) -> bool:
    try:
        prepare(text)
    except InvalidName:
        return False
    return True


anything = st.text(st.characters())  # with surrogates and control characters
names = st.text("aZ9é你😀 ._-*[]'", min_size=1, max_size=32).filter(_is_name).map(prepare)
rooms = st.sampled_from(["lobby", "dev", "#trio", "büro", "*x"])
# Up to the end of the year 9999, where the dates end.
ids = st.integers(0, 253_402_300_799_999_999)
texts = anything | st.text("\\n\n: ;*-") | st.sampled_from(["the build left", "* x joined"])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message of any kind."""
    kind = draw(st.sampled_from(get_args(Kind)))
    several = kind in ("quit", "renamed")
    some_rooms = st.lists(rooms, min_size=1, max_size=3 if several else 1, unique=True)
    in_rooms = () if kind == "control" else tuple(draw(some_rooms | st.just([])))
    sender = draw(names | st.just("")) if kind in ("notice", "control", "topic", "kicked") else draw(names)
    about = draw(names) if may_be_about(kind, in_rooms) else ""
    return Message(draw(texts), sender, in_rooms, kind, draw(ids), about, draw(st.just(0) | ids))


@settings(deadline=None)
@given(messages())
def test_every_message_is_one_line_and_read_back_as_it_was(message: Message) -> None:
    line = format_log_lines([message]).encode()
    assert line.index(b"\n") == len(line) - 1
    assert parse_log_line(line[:-1]) == message


def test_a_log_of_version_0_1_is_read() -> None:
    lines = (Path(__file__).parent / "chat_log_0.1.txt").read_bytes().splitlines()

    assert [parse_log_line(line) for line in lines] == [
        Message("", "alice", ("lobby",), "joined", NOON),
        said(NOON + 1, "hello: *everyone*\\n"),
        said(NOON + 2, "an old name", sender="a@b, c!"),
        Message("back at noon", "", ("lobby",), "notice", NOON + 3),
        Message("", "a@b, c!", ("lobby",), "left", NOON + 4),
    ]


@pytest.mark.parametrize("line", FOREIGN, ids=lambda line: repr(line[:40]))
def test_a_foreign_line_is_no_message(line: bytes) -> None:
    assert parse_log_line(line) is None


@settings(deadline=None)
@given(st.binary() | st.tuples(st.sampled_from(FOREIGN), st.binary()).map(b"".join))
@example(b"0001-01-01T00:00:00+23:59 lobby alice: hello")
@example(b"9999-12-31T23:59:59-23:59 lobby alice: hello")
def test_no_line_is_too_odd_to_be_read(line: bytes) -> None:
    assert isinstance(parse_log_line(line), Message | None)
