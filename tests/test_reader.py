"""What is made of what a client sends: which lines come, and whether more is to come."""

from collections.abc import Sequence
from typing import cast

import pytest

from trichat import Client, Server
from trichat._reader import Reader
from trichat._transport import RECEIVE_BYTES
from trichat.wires import LineWire

LIMIT = 100


class Told(Client):
    """A client that notes what it is told."""

    def __init__(self, room: str) -> None:
        super().__init__(cast(Server, None), "127.0.0.1", LineWire(LIMIT))
        self._room = room
        self.heard: list[str] = []

    def send(self, text: str) -> None:
        self.heard.append(text)


def reader_of(room: str = "lobby") -> tuple[Reader, Told]:
    """A reader of what somebody sends who is in this room, and that client."""
    client = Told(room)
    return Reader(client, LineWire(LIMIT)), client


def test_lines_that_came_together_are_there_together() -> None:
    reader, _ = reader_of()
    reader.take(b"one\ntwo\nthr")
    assert reader.next_lines() == ["one", "two"]
    reader.take(b"ee\n")
    assert reader.next_lines() == ["three"]
    reader.take(b"fo")
    assert reader.next_lines() == []


def test_one_line_may_be_taken_and_then_the_others() -> None:
    reader, _ = reader_of()
    reader.take(b"\n  \nalice\nhello\n \n")
    assert reader.next_line() == "alice"
    assert reader.next_lines() == ["hello", " "]


def test_lines_are_given_once() -> None:
    reader, _ = reader_of()
    reader.take(b"one\n")
    reader.take(b"two\n")
    assert reader.next_lines() == ["one", "two"]
    assert reader.next_lines() == []


def test_blank_lines_are_no_next_line() -> None:
    reader, _ = reader_of()
    assert reader.next_line() is None
    reader.take(b"  \n \n")
    assert reader.next_line() is None
    reader.take(b"alice\n")
    assert reader.next_line() == "alice"
    assert reader.next_line() is None


def test_at_the_end_an_unfinished_line_is_there() -> None:
    reader, _ = reader_of()
    reader.take(b"one\ntwo")
    assert not reader.at_end
    assert reader.next_line() == "one"
    reader.take(b"")
    assert reader.at_end
    assert reader.next_lines() == ["two"]


def test_more_is_there_behind_as_much_as_is_received_in_one_go() -> None:
    reader, _ = reader_of()
    reader.take(b"x\n" * (RECEIVE_BYTES // 2))
    assert reader.more_is_there
    reader.take(b"y\n")
    assert not reader.more_is_there


@pytest.mark.parametrize(
    ("room", "lines"), [("lobby", []), ("", ["alice"])], ids=["of somebody who is here", "behind a name"]
)
def test_a_line_that_is_too_long_is_dropped_and_said(room: str, lines: Sequence[str]) -> None:
    reader, client = reader_of(room)
    reader.take(b"".join(f"{text}\n".encode() for text in [*lines, "x" * 200, "hello"]))
    assert reader.next_lines() == [*lines, "hello"]
    assert client.heard == ["not taken: a line has at most 100 bytes"]
    assert not client.ended


def test_a_line_that_is_too_long_for_a_name_is_the_last() -> None:
    reader, client = reader_of(room="")
    reader.take(b"x" * 200 + b"\neve\n")
    assert reader.next_line() is None
    assert client.ended
    assert reader.at_end
