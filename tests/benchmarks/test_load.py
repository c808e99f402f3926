"""The load generator against the floor, and against servers that are at fault."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from bench.build import build, compiler
from bench.load import Load, LoadFailed, Report, parse_report, under_load
from bench.processes import Process, cores, free_port
from trichat_plugins.json_lines.front import JsonFront

from trichat import Config, Message, Server, TcpListener
from trichat._fronts.line.dialogue import LineDialogue
from trichat._fronts.line.front import LineFront
from trichat._fronts.line.wire import LineWire
from trichat.fronts import Front, Limits

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")

THREE = Load(3, senders=2, messages=100, window=10, patience=0.2, limit=20)


def load_on(port: int, load: Load = THREE, wire: str = "line") -> Report:
    with under_load(load, port, wire) as clients:
        clients.wait_until_in()
        clients.work()
        return clients.report()


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    process = Process([build("floor"), str(port)], tmp_path, port, cores()[0])
    yield port
    process.end()


def test_every_copy_is_counted(floor: int) -> None:
    report = load_on(floor)
    assert (report.clients, report.sent, report.expected, report.received) == (3, 100, 300, 300)
    assert (report.orders, report.faults()) == (1, "")
    assert 0 < report.p50_seconds <= report.p99_seconds < report.seconds
    assert report.in_seconds < report.told_seconds


def test_messages_at_a_rate_take_their_time(floor: int) -> None:
    report = load_on(floor, dataclasses.replace(THREE, messages=20, rate=200))
    assert report.received == 60
    assert report.seconds >= 20 / 200


def test_clients_may_come_a_few_at_a_time_and_say_nothing(floor: int) -> None:
    report = load_on(floor, dataclasses.replace(THREE, messages=0, burst=1))
    assert (report.clients, report.received) == (3, 0)


def test_who_does_not_read_is_not_counted(floor: int) -> None:
    report = load_on(floor, dataclasses.replace(THREE, slow=1))
    assert (report.expected, report.received, report.faults()) == (200, 200, "")


ROOMS = Load(6, senders=3, messages=99, window=30, rooms=3, patience=0.2, limit=20)


def test_only_the_room_of_its_sender_gets_a_message(floor: int) -> None:
    report = load_on(floor, ROOMS)
    assert (report.sent, report.expected, report.received) == (99, 198, 198)
    assert (report.orders, report.faults()) == (1, "")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"clients": 7}, "all rooms have as many clients"),
        ({"slow": 1, "clients": 7}, "slow ones are in a single room"),
        ({"movers": 1, "clients": 7, "every": 0}, "movers need several rooms"),
        ({"movers": 1, "rooms": 1}, "movers need several rooms"),
        ({"movers": 6}, "invalid load"),
    ],
    ids=str,
)
def test_a_load_that_cannot_be_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(LoadFailed, match=why):
        load_on(1, dataclasses.replace(ROOMS, **wrong))


MOVING = dataclasses.replace(ROOMS, clients=8, movers=2, messages=300, every=10)


class BrokenFront(LineFront):
    """The line protocol, with a fault in what it sends."""

    def __init__(self, wire: LineWire) -> None:
        self._wire = wire

    def dialogue(self, limits: Limits) -> LineDialogue:
        return LineDialogue(self._wire, limits)


async def load_on_trichat(folder: Path, front: Front, load: Load = MOVING, wire: str = "line") -> Report:
    config = Config.from_tables({"plugins": {"chat_log": {"path": str(folder / "log.txt")}, "json_lines": {"port": 0}}})
    listener = TcpListener("127.0.0.1", 0, front)
    server = Server(config, listeners=[listener])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        report = await trio.to_thread.run_sync(load_on, listener.addresses[0].port, load, wire)
        server.stop()
    return report


async def test_everyone_in_both_rooms_is_told_of_a_move(tmp_path: Path) -> None:
    report = await load_on_trichat(tmp_path, LineFront())
    assert 0 < report.moves <= 30
    # Two residents of each room get the messages, and three lines about each move.
    assert report.expected == report.received == 300 * 2 + report.moves * 3 * 2
    assert (report.orders, report.faults()) == (1, "")


class ForgetsEnd(LineWire):
    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:
        return super().encode_history(room, [message for message in messages if message.kind == "said"][:-1])


class RepeatsEnd(LineWire):
    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:
        said = [message for message in messages if message.kind == "said"]
        return super().encode_history(room, [*said, *said[-1:]])


class TakesSender(LineWire):
    """Room 0 gets messages as if they came from a sender in room 1."""

    def encode(self, messages: Sequence[Message]) -> bytes:
        return super().encode(messages).replace(b"=m0000", b"=m0001")


class TellsOfMoves(LineWire):
    def __init__(self, kind: str, copies: int) -> None:
        self._kind = kind
        self._copies = copies

    def encode(self, messages: Sequence[Message]) -> bytes:
        sent = (copy for each in messages for copy in [each] * (self._copies if each.kind == self._kind else 1))
        return super().encode(list(sent))


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (ForgetsEnd(), "out of order"),
        (RepeatsEnd(), "out of order"),
        (TakesSender(), "out of order"),
        (TellsOfMoves("renamed", 0), "missing"),
        (TellsOfMoves("left", 0), "missing"),
        (TellsOfMoves("joined", 2), "out of order"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_faults_around_moves_are_found(tmp_path: Path, wire: LineWire, fault: str) -> None:
    report = await load_on_trichat(tmp_path, BrokenFront(wire))
    assert fault in report.faults()


async def test_json_lines_are_spoken_too(tmp_path: Path) -> None:
    load = dataclasses.replace(ROOMS, clients=4, senders=2, rooms=2, messages=100)
    report = await load_on_trichat(tmp_path, JsonFront(), load, "json")
    assert (report.expected, report.received, report.orders, report.faults()) == (200, 200, 1, "")


Sends = Callable[[int, bytes], list[bytes]]
"""What a server at fault makes of its n-th copy of a message."""


class Faulty:
    """A chat server that makes something else of the copies of messages."""

    def __init__(self, sends: Sends) -> None:
        self._sends = sends
        self._members: list[trio.SocketStream] = []
        self._copies = 0
        self._telling = trio.Lock()

    async def serve(self, stream: trio.SocketStream) -> None:
        rest = name = b""
        with trio.move_on_after(20):
            async for data in stream:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if name:
                        async with self._telling:
                            await self._tell(name + b": " + line + b"\n")
                    else:
                        name = line
                        await stream.send_all(b"* welcome, " + name + b"\n")
                        self._members.append(stream)

    async def _tell(self, line: bytes) -> None:
        for member in self._members:
            self._copies += 1
            for each in self._sends(self._copies, line):
                await member.send_all(each)


@asynccontextmanager
async def faulty(sends: Sends) -> AsyncIterator[int]:
    async def survive(server: Faulty, stream: trio.SocketStream) -> None:
        # The load generator is done. Another client's task may still tell this one, which is closed already.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await server.serve(stream)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(survive, Faulty(sends)), 0, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


ONE_TALKS = dataclasses.replace(THREE, senders=1, messages=20)


async def faults(sends: Sends) -> str:
    async with faulty(sends) as port:
        return (await trio.to_thread.run_sync(load_on, port, ONE_TALKS)).faults()


async def test_no_fault_is_seen_where_there_is_none() -> None:
    assert await faults(lambda count, line: [line]) == ""


async def test_a_lost_copy_is_missing() -> None:
    assert await faults(lambda count, line: [] if count == 31 else [line]) == "1 missing, 1 out of order"


async def test_a_copy_that_is_lost_at_the_end_is_missing() -> None:
    assert await faults(lambda count, line: [] if count == 60 else [line]) == "1 missing"


async def test_a_garbled_copy_is_missing() -> None:
    assert await faults(lambda count, line: [line[:-2] + b"\n"] if count == 60 else [line]) == "1 missing"


async def test_a_copy_that_comes_twice_is_a_fault() -> None:
    # The load generator may have enough before the last copy has come, and then none is too many.
    assert "1 out of order" in await faults(lambda count, line: [line] * (2 if count == 31 else 1))


async def test_copies_that_change_places_are_out_of_order() -> None:
    kept: list[bytes] = []

    def swap(count: int, line: bytes) -> list[bytes]:
        # The copies of one client are three apart.
        if count == 31:
            kept.append(line)
            return []
        return [line, *kept] if count == 34 else [line]

    assert await faults(swap) == "2 out of order"


async def test_different_orders_are_counted() -> None:
    # The order of each sender is kept, but the third client hears the one who was first after the other.
    copies: list[bytes] = []

    def sends(count: int, line: bytes) -> list[bytes]:
        if count % 3:
            return [line]
        copies.append(line)
        return sorted(copies, key=lambda copy: copy[:2] == copies[0][:2]) if count == 12 else []

    async with faulty(sends) as port:
        both = dataclasses.replace(ONE_TALKS, senders=2, messages=4)
        report = await trio.to_thread.run_sync(load_on, port, both)
    assert (report.orders, report.faults()) == (2, "")


async def test_who_is_not_let_in_is_told_why() -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"* refused: the server is full (2 clients)\n")

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
        with pytest.raises(LoadFailed, match=r"was told: \* refused: the server is full"):
            await trio.to_thread.run_sync(load_on, listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def test_a_load_can_follow_another_before_its_names_are_free() -> None:
    taken: set[bytes] = set()

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            name = (await stream.receive_some()).strip()
            await stream.send_all(b"* the name is taken\n" if name in taken else b"* welcome, " + name + b"\n")
            taken.add(name)
            await trio.sleep_forever()  # it never notices that its client has left

    silent = dataclasses.replace(THREE, messages=0)
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        for first in (0, 3):
            await trio.to_thread.run_sync(load_on, port, dataclasses.replace(silent, first=first))
        with pytest.raises(LoadFailed, match="the name is taken"):
            await trio.to_thread.run_sync(load_on, port, silent)
        nursery.cancel_scope.cancel()
    assert taken == {b"u0", b"u1", b"u2", b"u3", b"u4", b"u5"}


async def test_irc_is_spoken_too() -> None:
    """As much of a server as one needs to be let in; it echoes nothing, and asks whether one is there."""
    members: list[trio.SocketStream] = []
    telling = trio.Lock()

    async def serve(stream: trio.SocketStream) -> None:
        rest = nick = b""
        try:
            async for data in stream:
                *lines, rest = (rest + data).split(b"\r\n")
                for line in lines:
                    word, _, argument = line.partition(b" ")
                    if word == b"NICK":
                        nick = argument
                        await stream.send_all(b"PING :tok en\r\n")
                    elif word == b"PONG":
                        assert argument == b":tok en"
                        await stream.send_all(b":s 001 " + nick + b" :hello\r\n:s 376 " + nick + b" :end\r\n")
                    elif word == b"JOIN":
                        members.append(stream)
                        await stream.send_all(b":s 366 " + nick + b" #bench :end\r\n")
                    elif word == b"PRIVMSG":
                        async with telling:
                            for member in members:
                                if member is not stream:
                                    await member.send_all(b":" + nick + b"!~u@h " + line + b"\r\n")
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        report = await trio.to_thread.run_sync(load_on, listener.socket.getsockname()[1], THREE, "irc")
        nursery.cancel_scope.cancel()
    assert (report.expected, report.received, report.faults()) == (200, 200, "")


def test_a_report_is_what_the_load_generator_prints(floor: int) -> None:
    names = ", ".join(f'"{name}": 1' for name in Report.__struct_fields__)
    assert parse_report(f"{{{names}}}").faults() == "1 missing, 1 duplicated, 1 out of order, 1 clients lost"
