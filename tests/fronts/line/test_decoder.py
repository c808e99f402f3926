"""Whole lines out of bytes that are cut anywhere."""

import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat._fronts.line.decoder import Event, LineDecoder, LineTooLong

LIMIT = 8
TOO_LONG = LineTooLong(LIMIT)

# What arrives, always with the end of its last line, and what it means.
WHOLE_LINES = [
    pytest.param(b"hello\n", ["hello"], id="a line"),
    pytest.param(b"hello\r\n", ["hello"], id="a line as telnet and Windows end it"),
    pytest.param(b"one\ntwo\r\nthree\n", ["one", "two", "three"], id="several lines"),
    pytest.param(b"\n", [""], id="an empty line"),
    pytest.param(b"\r\n\n\r\n", ["", "", ""], id="only empty lines"),
    pytest.param(b"one\n\n\r\ntwo\n", ["one", "", "", "two"], id="empty lines between"),
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
    decoder = LineDecoder(limit, telnet=True)
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
def test_no_line_is_longer_than_the_limit(data: bytes) -> None:
    for event in decode(data + b"\n"):
        assert event == TOO_LONG or (isinstance(event, str) and len(event) <= LIMIT)


def test_a_line_comes_as_soon_as_it_is_complete() -> None:
    decoder = LineDecoder(LIMIT, telnet=True)

    assert decoder.receive(b"hel") == []
    assert decoder.receive(b"lo\nyo") == ["hello"]
    assert decoder.receive(b"u\n") == ["you"]


def test_a_line_over_the_limit_is_reported_once_and_as_soon_as_it_is_over() -> None:
    decoder = LineDecoder(LIMIT, telnet=True)

    assert decoder.receive(b"12345678") == []
    assert decoder.receive(b"9") == [TOO_LONG]
    assert decoder.receive(b"0" * 100) == []
    assert decoder.receive(b"the rest\nhello\n") == ["hello"]


def test_a_full_line_waits_for_its_end_behind_a_cr() -> None:
    decoder = LineDecoder(LIMIT, telnet=True)

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
    decoder = LineDecoder(1024, telnet=True)
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
    alice, bob = LineDecoder(LIMIT, telnet=True), LineDecoder(LIMIT, telnet=True)

    alice.receive(b"al")
    bob.receive(b"bo")

    assert alice.receive(b"ice\n") == ["alice"]
    assert bob.receive(b"b\n") == ["bob"]
