"""The line protocol: whole lines out of bytes that are cut anywhere, and lines out of messages."""

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Message
from trichat._base.messages import Kind
from trichat._fronts.line.wire import LineWire
from trichat._fronts.wire import Event, LineTooLong

LIMIT = 8
TOO_LONG = LineTooLong(LIMIT)

# What arrives, always with the end of its last line, and what it means.
WHOLE_LINES = [
    pytest.param(b"hello\n", ["hello"], id="a line"),
    pytest.param(b"hello\r\n", ["hello"], id="a line as telnet and Windows end it"),
    pytest.param(b"one\ntwo\r\nthree\n", ["one", "two", "three"], id="several lines"),
    pytest.param(b"\n", [], id="an empty line"),
    pytest.param(b"\r\n\n\r\n", [], id="only empty lines"),
    pytest.param(b"one\n\n\r\ntwo\n", ["one", "two"], id="empty lines between"),
    pytest.param(b"  a b \n", ["  a b "], id="blanks"),
    pytest.param(b"a\rb\n", ["a\rb"], id="a CR that ends nothing"),
    pytest.param("grüß\n".encode(), ["grüß"], id="two bytes a character"),
    pytest.param("日本\n".encode(), ["日本"], id="three bytes a character"),
    pytest.param("🦑🦑\n".encode(), ["🦑🦑"], id="four bytes a character"),
    pytest.param(b"a\x80b\n", ["a\ufffdb"], id="a stray continuation byte"),
    pytest.param(b"a\xe6\x97\n", ["a\ufffd"], id="a character cut short by the end of the line"),
    pytest.param(b"\xed\xa0\x80\n", ["\ufffd\ufffd\ufffd"], id="a surrogate"),
    pytest.param(b"a\r\r\n", ["a\r"], id="a CR before CR LF"),
    pytest.param(b"a\x00b\n", ["a\x00b"], id="NUL"),
    pytest.param(b"12345678\n", ["12345678"], id="exactly the limit"),
    pytest.param(b"12345678\r\n", ["12345678"], id="exactly the limit, and CR LF"),
    pytest.param("日本56\n".encode(), ["日本56"], id="exactly the limit in bytes"),
    pytest.param(b"123456789\n", [TOO_LONG], id="one more than the limit"),
    pytest.param(b"123456789\r\n", [TOO_LONG], id="one more than the limit, and CR LF"),
    pytest.param("日本567\n".encode(), [TOO_LONG], id="one more than the limit in bytes"),
    pytest.param(b"12345678\r\r\n", [TOO_LONG], id="a CR more than the limit"),
    pytest.param(b"12345678\r9\n", [TOO_LONG], id="a CR that turns out to end nothing"),
    pytest.param(b"x" * 100 + b"\n", [TOO_LONG], id="many times the limit"),
    pytest.param(b"x" * 100 + b"\nhello\n", [TOO_LONG, "hello"], id="a line after one that is too long"),
    pytest.param(b"x" * 9 + b"\n" + b"y" * 9 + b"\n", [TOO_LONG, TOO_LONG], id="two lines that are too long"),
    pytest.param(b"one\n" + b"x" * 9 + b"\ntwo\n", ["one", TOO_LONG, "two"], id="too long in the middle"),
    pytest.param(b"\xff\xfb\x01hi\xff\xf1\xff\xf9\n", ["hi"], id="telnet commands"),
    pytest.param(b"1234\xff\xfb\x015678\n", ["12345678"], id="telnet commands do not count"),
    pytest.param(b"ab\xff\xfd\ncd\n", ["abcd"], id="a telnet option that looks like LF"),
]

whole_lines = pytest.mark.parametrize(("data", "events"), WHOLE_LINES)

# Bytes in which all that matters to the decoder is frequent: ends of lines, telnet, the limit, broken UTF-8.
hard_bytes = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\xff", b"\xfa", b"\xf0", b"\xfb", b"a", b"12345678", "日".encode(), b"\xe6"]
    )
    | st.binary(max_size=4),
    max_size=20,
).map(b"".join)


def decode(*chunks: bytes, limit: int = LIMIT) -> Sequence[Event]:
    """What a new decoder makes of these chunks, one after the other."""
    decoder = LineWire(limit).decoder()
    return [event for chunk in chunks for event in decoder.receive(chunk)]


def one_by_one(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@whole_lines
def test_lines_are_decoded_from_one_chunk(data: bytes, events: Sequence[Event]) -> None:
    assert decode(data) == events


@whole_lines
def test_lines_are_decoded_byte_by_byte(data: bytes, events: Sequence[Event]) -> None:
    assert decode(*one_by_one(data)) == events


@whole_lines
def test_lines_are_decoded_from_two_chunks_wherever_the_cut_is(data: bytes, events: Sequence[Event]) -> None:
    for cut in range(1, len(data)):
        assert decode(data[:cut], data[cut:]) == events, f"cut at {cut}"


@whole_lines
def test_what_follows_the_lines_does_not_change_them(data: bytes, events: Sequence[Event]) -> None:
    assert decode(data + b"more") == events
    assert decode(data + b"more\n") == [*events, "more"]


@whole_lines
def test_lines_do_not_change_what_follows_them(data: bytes, events: Sequence[Event]) -> None:
    assert decode(data, b"more\n") == [*events, "more"]


@whole_lines
def test_the_end_of_the_connection_adds_nothing_to_whole_lines(data: bytes, events: Sequence[Event]) -> None:
    assert decode(data, b"") == events


@given(data=hard_bytes, cuts=st.sets(st.integers(1, 150)))
def test_any_bytes_in_any_chunks_mean_the_same_as_in_one_go(data: bytes, cuts: set[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    chunks = [data[start:end] for start, end in pairwise(places) if start < end]

    assert decode(*chunks, b"") == decode(*([data] if data else []), b"")


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1)),
    ends=st.lists(st.sampled_from(["\n", "\r\n"])),
)
def test_any_text_comes_out_as_it_went_in(lines: list[str], ends: list[str]) -> None:
    ends += ["\n"] * len(lines)

    data = "".join(line + end for line, end in zip(lines, ends, strict=False)).encode()

    assert decode(data, limit=1_000_000) == lines


@given(data=hard_bytes)
def test_no_line_is_empty_or_longer_than_the_limit(data: bytes) -> None:
    for event in decode(data + b"\n"):
        assert event == TOO_LONG or (isinstance(event, str) and 0 < len(event) <= LIMIT)


def test_a_line_comes_as_soon_as_it_is_complete() -> None:
    decoder = LineWire(LIMIT).decoder()

    assert decoder.receive(b"hel") == []
    assert decoder.receive(b"lo\nyo") == ["hello"]
    assert decoder.receive(b"u\n") == ["you"]


def test_a_line_over_the_limit_is_reported_once_and_as_soon_as_it_is_over() -> None:
    decoder = LineWire(LIMIT).decoder()

    assert decoder.receive(b"12345678") == []
    assert decoder.receive(b"9") == [TOO_LONG]
    assert decoder.receive(b"0" * 100) == []
    assert decoder.receive(b"the rest\nhello\n") == ["hello"]


def test_a_full_line_waits_for_its_end_behind_a_cr() -> None:
    decoder = LineWire(LIMIT).decoder()

    assert decoder.receive(b"12345678\r") == []
    assert decoder.receive(b"\n") == ["12345678"]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"hello", ["hello"], id="an unfinished line"),
        pytest.param(b"hello\r", ["hello"], id="a line with half an end"),
        pytest.param(b"\r", [], id="half an end"),
        pytest.param(b"one\ntwo", ["one", "two"], id="a line and an unfinished one"),
        pytest.param(b"12345678", ["12345678"], id="exactly the limit"),
        pytest.param(b"12345678\r", ["12345678"], id="exactly the limit and half an end"),
        pytest.param(b"a\xe6\x97", ["a\ufffd"], id="half a character"),
        pytest.param(b"123456789", [TOO_LONG], id="too long"),
        pytest.param(b"hello\xff", ["hello"], id="half a telnet command"),
    ],
)
def test_an_unfinished_last_line_counts_at_the_end_of_the_connection(data: bytes, events: Sequence[Event]) -> None:
    assert decode(*([data] if data else []), b"") == events
    assert decode(*one_by_one(data), b"") == events
    assert decode(*one_by_one(data), b"", b"") == events, "the end may be said again"


@pytest.mark.parametrize("chunk", [1, 100, 16_384])
@pytest.mark.parametrize("before", [b"", b"\xff\xfa"], ids=["a line", "a telnet subnegotiation"])
def test_what_never_ends_is_not_kept(before: bytes, chunk: int) -> None:
    decoder = LineWire(1024).decoder()
    decoder.receive(before)
    data = b"x" * chunk
    tracemalloc.start()
    try:
        for _ in range(20_000 // chunk + 1):
            decoder.receive(data)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 10_000


def test_two_connections_do_not_share_their_lines() -> None:
    wire = LineWire(LIMIT)
    alice, bob = wire.decoder(), wire.decoder()

    alice.receive(b"al")
    bob.receive(b"bo")

    assert alice.receive(b"ice\n") == ["alice"]
    assert bob.receive(b"b\n") == ["bob"]


WIRE = LineWire(4096)
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
    assert WIRE.encode_history([message.with_id(NOON)]) == f"[2026-11-22 12:00:00] {line}\n".encode()


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
    assert WIRE.encode_history([message.with_id(NOON)]).decode().splitlines() == [
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
    assert WIRE.encode_history([Message("x", "bob", id=id)]) == f"[{date}] bob: x\n".encode()


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

    assert WIRE.encode_history([Message("x", "bob", id=midnight)]) == b"[2026-11-23 00:00:00] bob: x\n"


def test_messages_keep_their_order() -> None:
    messages = [Message("one", "alice", id=NOON), Message("two", "bob", id=NOON), Message("go", kind="notice", id=NOON)]

    assert WIRE.encode(messages) == b"alice: one\nbob: two\n* go\n"
    assert WIRE.encode_history(messages) == (
        b"[2026-11-22 12:00:00] alice: one\n[2026-11-22 12:00:00] bob: two\n[2026-11-22 12:00:00] * go\n"
    )


def test_no_messages_are_no_bytes() -> None:
    assert WIRE.encode([]) == b""
    assert WIRE.encode_history([]) == b""


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
    assert WIRE.encode_notice(text) == data


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
    for data in (WIRE.encode([message]), WIRE.encode_history([message])):
        assert data.endswith(b"\n")
        assert decode(data, limit=1_000_000) == data.decode().removesuffix("\n").split("\n")
        assert data.count(b"\n") == 1 + message.text.count("\n")


@given(st.lists(st.text(st.characters(exclude_categories=(), exclude_characters="\n"))))
def test_whatever_a_notice_says_each_of_its_lines_is_marked(lines: Sequence[str]) -> None:
    received = WIRE.encode_notice("\n".join(lines)).decode().split("\n")

    assert received.pop() == ""
    assert len(received) == max(1, len(lines))
    assert all(line.startswith("* ") for line in received)
