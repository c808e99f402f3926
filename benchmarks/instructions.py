"""Count the Python instructions that a message takes in the server, by function.

    .venv/bin/python benchmarks/instructions.py [--work fan-out] [--most 30]

`make check` runs it, after `check_regression.py`. The exit status is 1 if a message takes a twentieth more than at
present with Python 3.11; in a fan-out and in many rooms a fifth more, since there the count depends on how tasks take
turns.
A count hardly varies. So it shows a change of a few percent even on a machine where times vary by a fifth from run to
run. The time of an instruction does vary: 10 to 20 ns if many messages follow each other, and several times that if
each message wakes the server, because its code and objects are no longer in the caches.

The server runs with all built-in plugins and its log. The count includes Trio's loop, but neither system calls nor
code written in C. The clients use real sockets, in another thread.
"""

import argparse
import collections
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import trio
from trichat_plugins.json_lines.front import JsonFront

from trichat import Config, Server, TcpListener, fronts

TEXT = b"x" * 63

# Seconds between two turns, in which the server finishes its work.
PAUSE = 0.01

# Seconds that the clients wait for anything.
PATIENCE = 30


@dataclass(frozen=True)
class Protocol:
    """A front, and what its clients send."""

    front: Callable[[], fronts.Front | None]
    """Makes the front; `None` is the line protocol."""
    enter: Callable[[str, str], str]
    """Takes a name and a room; returns the lines that lead there."""
    entered: bytes
    """What the server says then."""
    say: bytes
    """A message, `TEXT`."""


LINE_PROTOCOL = Protocol(lambda: None, lambda name, room: f"{name}\n/join {room}\n", b"* you are in ", TEXT + b"\n")
JSON_LINES = Protocol(
    JsonFront,
    lambda name, room: f'{{"login":{{"name":"{name}"}}}}\n{{"join":{{"room":"{room}"}}}}\n',
    b'{"entered":',
    b'{"say":{"text":"' + TEXT + b'"}}\n',
)


@dataclass(frozen=True)
class Work:
    """In one turn each of the `senders` says so many `lines` at once, and all clients of its room read them."""

    clients: int
    senders: int
    lines: int
    turns: int
    limit: int
    """The number of instructions that a message may take."""
    rooms: int = 1
    protocol: Protocol = LINE_PROTOCOL

    @property
    def messages(self) -> int:
        """The messages of one turn."""
        return self.senders * self.lines


WORK = {
    "one-by-one": Work(clients=10, senders=1, lines=1, turns=200, limit=1850),
    "small-room": Work(clients=10, senders=2, lines=60, turns=20, limit=360),
    "fan-out": Work(clients=100, senders=10, lines=6, turns=20, limit=680),
    "many-rooms": Work(clients=200, senders=40, lines=1, turns=20, limit=1850, rooms=20),
    "json-lines": Work(clients=10, senders=2, lines=60, turns=20, limit=580, protocol=JSON_LINES),
}


class Counts:
    """Counts what this thread executes while `counting` is true."""

    def __init__(self) -> None:
        self.instructions = collections.Counter[CodeType]()
        self.calls = collections.Counter[CodeType]()
        self.counting = False

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Trace the thread in the block: the functions that are called, and those that run already."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            self._trace(frame)
            frame = frame.f_back
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType) -> None:
        frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = self._on_instruction, True, False

    def _on_call(self, frame: FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        if not self.counting:
            return None
        self.calls[frame.f_code] += 1
        self._trace(frame)
        return self._on_instruction

    def _on_instruction(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "opcode" and self.counting:
            self.instructions[frame.f_code] += 1
        return self._on_instruction


def talk(port: int, work: Work, counts: Counts) -> None:
    """Join, and take all turns; the first half is to warm up."""
    with ExitStack() as stack:
        people = [
            stack.enter_context(come_in(port, work.protocol, f"user{number}", f"room{number % work.rooms}"))
            for number in range(work.clients)
        ]
        for number in range(2 * work.turns):
            time.sleep(PAUSE)
            counts.counting = number >= work.turns
            for person in people[: work.senders]:
                person.sendall(work.protocol.say * work.lines)
            for person in people:
                read(person, TEXT, work.messages // work.rooms)
        time.sleep(PAUSE)
        counts.counting = False


def come_in(port: int, protocol: Protocol, name: str, room: str) -> socket.socket:
    """Return the socket of a client that has entered a room."""
    person = socket.create_connection(("127.0.0.1", port), PATIENCE)
    person.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    person.sendall(protocol.enter(name, room).encode())
    read(person, protocol.entered)
    return person


def read(person: socket.socket, what: bytes, times: int = 1) -> None:
    """Read until `what` has arrived so many times."""
    heard = b""
    while heard.count(what) < times:
        more = person.recv(65_536)
        if not more:
            raise EOFError(f"the server ended the connection before {what!r} had arrived {times} times")
        heard += more


async def count(work: Work) -> Counts:
    """Return the counts of the server for all turns."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        tables = {
            "server": {"host": "127.0.0.1", "port": 0, "data_dir": folder},
            "plugins": {"chat_log": {"path": f"{folder}/chat_log.txt"}, "json_lines": {"port": 0}},
        }
        listener = TcpListener("127.0.0.1", 0, work.protocol.front())
        server = Server(Config.from_tables(tables), listeners=[listener])
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(server.serve)
            with counts.traced():
                await trio.to_thread.run_sync(talk, address.port, work, counts)
            server.stop()
    return counts


def check(name: str, work: Work, counts: Counts, most: int) -> bool:
    """Print the instructions of a message, and the functions with the most; return whether it is within the limit."""
    messages = work.turns * work.messages
    instructions, calls = (counted.total() / messages for counted in (counts.instructions, counts.calls))
    within = instructions <= work.limit
    verdict = "at most" if within else "TOO MUCH:"
    print(f"{name}: {instructions:,.0f} instructions in {calls:,.1f} calls for each message ({verdict} {work.limit:,})")
    for code, counted in counts.instructions.most_common(most):
        module = code.co_filename.rpartition("/")[2]
        print(f"{counted / messages:10.1f} in {counts.calls[code] / messages:6.2f} of {code.co_qualname} ({module})")
    return within


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=WORK, help="count only this work")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="show the N functions that take the most")
    options = parser.parse_args()
    works = {name: work for name, work in WORK.items() if options.work in (None, name)}
    verdicts = [check(name, work, trio.run(count, work), options.most) for name, work in works.items()]
    sys.exit(0 if all(verdicts) else 1)


if __name__ == "__main__":
    main()
