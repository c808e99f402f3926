"""The receiving half of a connection alone: which lines come, and when."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import pytest
from trio.testing import wait_all_tasks_blocked

from trichat import Client, Server
from trichat._reader import Reader
from trichat._transport import RECEIVE_BYTES
from trichat.testing._pipe import MemoryTransport, Pipe
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


class Line(NamedTuple):
    """A reader, and what goes to it."""

    reader: Reader
    sends: Pipe
    client: Told


def line(room: str = "lobby") -> Line:
    sends, client = Pipe(), Told(room)
    return Line(Reader(client, MemoryTransport(sends, Pipe(), "127.0.0.1"), LineWire(LIMIT)), sends, client)


async def test_lines_that_came_together_are_read_together() -> None:
    reader, sends, _ = line()
    sends.write(b"one\ntwo\nthr")
    assert await reader.next_lines() == ["one", "two"]
    sends.write(b"ee\n")
    assert await reader.next_lines() == ["three"]


async def test_one_line_may_be_read_and_then_the_others() -> None:
    reader, sends, _ = line()
    sends.write(b"\n  \nalice\nhello\n \n")
    assert await reader.next_line() == "alice"
    assert await reader.next_lines() == ["hello", " "]


async def test_at_the_end_there_are_none() -> None:
    reader, sends, _ = line()
    sends.write(b"one\ntwo")
    sends.end()
    assert await reader.next_line() == "one"
    assert await reader.next_lines() == ["two"]
    assert await reader.next_lines() == []
    assert await reader.next_line() is None


async def test_what_came_is_taken_without_waiting() -> None:
    reader, sends, _ = line()
    reader.take_what_came()
    sends.write(b"one\n")
    reader.take_what_came()
    waiting = reader.next_lines()
    with pytest.raises(StopIteration) as returned:
        waiting.send(None)
    assert returned.value.value == ["one"]


async def test_more_is_there_behind_as_much_as_is_received_in_one_go() -> None:
    reader, sends, _ = line()
    sends.write(b"x\n" * (RECEIVE_BYTES // 2) + b"y\n")
    assert len(await reader.next_lines()) == RECEIVE_BYTES // 2
    assert reader.more_is_there
    assert await reader.next_lines() == ["y"]
    assert not reader.more_is_there


@pytest.mark.parametrize(
    ("room", "lines"), [("lobby", []), ("", ["alice"])], ids=["of somebody who is here", "behind a name"]
)
async def test_a_line_that_is_too_long_is_dropped_and_said(room: str, lines: Sequence[str]) -> None:
    reader, sends, client = line(room)
    sends.write(b"".join(f"{text}\n".encode() for text in [*lines, "x" * 200, "hello"]))
    assert await reader.next_lines() == [*lines, "hello"]
    assert client.heard == ["not taken: a line has at most 100 bytes"]
    assert not client.ended


async def test_a_line_that_is_too_long_for_a_name_is_the_last() -> None:
    reader, sends, client = line(room="")
    sends.write(b"x" * 200 + b"\neve\n")
    assert await reader.next_line() is None
    assert client.ended
    sends.write(b"stop\n")
    await wait_all_tasks_blocked()
    assert await reader.next_lines() == []
