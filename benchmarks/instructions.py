"""How many instructions of Python a message takes in the server, and in which functions.

    .venv/bin/python benchmarks/instructions.py [--work fan-out] [--most 30]

`make check` runs it, after the times. It ends with status 1 if a message takes a tenth more than at present with
Python 3.11; in a fan-out a fifth more, since there the count depends on how tasks take turns.
On a machine where times vary by a fifth from run to run, a change that is worth a few percent shows here: a count
hardly varies. What an instruction takes does: 10 to 20 ns where many messages follow each other, and several times that
where each one wakes the server, whose code and objects are in no cache by then.

The server runs with all built-in plugins and its log, and Trio's loop is counted with it; the system calls are not, nor
what is written in C. The people are on real sockets, in another thread.
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

from trichat import Config, Server

LINE = b"x" * 63 + b"\n"

# Seconds between two turns, in which the server comes to rest.
PAUSE = 0.01

# Seconds for anything that the people wait for.
PATIENCE = 30


@dataclass(frozen=True)
class Work:
    """In one turn each of the `senders` says so many `lines` in one go, and everybody reads all of them."""

    clients: int
    senders: int
    lines: int
    turns: int
    limit: int
    """How many instructions a message may take."""

    @property
    def messages(self) -> int:
        """Those of one turn."""
        return self.senders * self.lines


WORK = {
    "one-by-one": Work(clients=10, senders=1, lines=1, turns=200, limit=1900),
    "small-room": Work(clients=10, senders=2, lines=60, turns=20, limit=380),
    "fan-out": Work(clients=100, senders=10, lines=6, turns=20, limit=700),
}


class Counts:
    """What this thread executes while it is `counting`."""

    def __init__(self) -> None:
        self.instructions = collections.Counter[CodeType]()
        self.calls = collections.Counter[CodeType]()
        self.counting = False

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Trace the thread: the functions that are called in the block, and those that run already."""
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
    """Come in, and take all turns, half of them to warm up."""
    with ExitStack() as stack:
        people = [stack.enter_context(come_in(port, f"user{number}")) for number in range(work.clients)]
        people[0].sendall(b"ready\n")
        for person in people:
            read(person, b"user0: ready\n")
        for number in range(2 * work.turns):
            time.sleep(PAUSE)
            counts.counting = number >= work.turns
            for person in people[: work.senders]:
                person.sendall(LINE * work.lines)
            for person in people:
                read(person, LINE, work.messages)
        time.sleep(PAUSE)
        counts.counting = False


def come_in(port: int, name: str) -> socket.socket:
    """Return somebody who has joined."""
    person = socket.create_connection(("127.0.0.1", port), PATIENCE)
    person.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    person.sendall(f"{name}\n".encode())
    read(person, b"welcome, ")
    return person


def read(person: socket.socket, what: bytes, times: int = 1) -> None:
    """Read on until this has come so many times."""
    heard = b""
    while heard.count(what) < times:
        more = person.recv(65_536)
        if not more:
            raise EOFError(f"the server ended the connection, and {what!r} was not heard {times} times")
        heard += more


async def count(work: Work) -> Counts:
    """Return what the server has executed for all turns."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        tables = {
            "server": {"host": "127.0.0.1", "port": 0, "data_dir": folder},
            "plugins": {"chat_log": {"path": f"{folder}/chat_log.txt"}},
        }
        server = Server(Config.from_tables(tables))
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(server.serve)
            with counts.traced():
                await trio.to_thread.run_sync(talk, address.port, work, counts)
            server.stop()
    return counts


def check(name: str, work: Work, counts: Counts, most: int) -> bool:
    """Print what a message takes, and the functions that take most of it; return whether that is within the limit."""
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
    parser.add_argument("--work", choices=WORK, help="only this")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="show the functions that take most")
    options = parser.parse_args()
    works = {name: work for name, work in WORK.items() if options.work in (None, name)}
    verdicts = [check(name, work, trio.run(count, work), options.most) for name, work in works.items()]
    sys.exit(0 if all(verdicts) else 1)


if __name__ == "__main__":
    main()
