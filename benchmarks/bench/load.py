"""Drives the load generator: its options, its steps and its report."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import msgspec

from bench.build import build
from bench.processes import cores, pinned


@dataclass(frozen=True)
class Load:
    """What the clients do. The options of `load.c` have the same names."""

    clients: int
    senders: int = 1
    messages: int = 0
    """0 for idle clients."""
    rate: int = 0
    """Messages a second; 0 for as many as the window allows."""
    window: int = 512
    size: int = 64
    """Bytes of a message, without its sender and its end."""
    slow: int = 0
    """The number of clients that read nothing once they have joined."""
    rooms: int = 1
    """The rooms, with the same number of clients in each, not counting movers. Each sender talks in its own room."""
    movers: int = 0
    """The number of clients, among `clients`, that take another name and go to the next room, in turn."""
    every: int = 1000
    """One of them goes after so many messages."""
    burst: int = 0
    """How many clients join at a time; 0 for all at once."""
    seconds: float = 4.0
    """After so many seconds no more messages are sent."""
    patience: float = 10.0
    """After so many seconds without any news, missing messages count as lost."""
    limit: float = 60.0
    """Seconds within which all clients must join."""
    first: int = 0
    """The number in the name of the first client. Successive loads on one server need different names, because the
    server may not have noticed yet that the previous clients have left."""


class Report(msgspec.Struct, frozen=True):
    """The results of the load generator, which `report` in `load.c` prints."""

    clients: int
    in_seconds: float
    """From the first connection until all clients had joined."""
    told_seconds: float
    """From the first connection until the last message had reached everyone."""
    first_line_seconds: float
    """From a client's name to the first line that it got: the maximum of all clients."""
    sent: int
    moves: int
    """How many times a client took another name and went to another room."""
    expected: int
    """The number of copies that should have arrived, also of lines about moves, but without those to movers."""
    received: int
    missing: int
    duplicated: int
    out_of_order: int
    orders: int
    """The number of different orders in which clients got the messages."""
    lost_clients: int
    """The number of clients that were disconnected, without the slow ones."""
    seconds: float
    """From the first message until the last copy of the last one."""
    cpu_seconds: float
    """The processor time of the load generator itself in that time."""
    p50_seconds: float
    p99_seconds: float

    def faults(self) -> str:
        """Return the faults of the chat server, or an empty string."""
        found = {
            "missing": self.missing,
            "duplicated": self.duplicated,
            "out of order": self.out_of_order,
            "clients lost": self.lost_clients,
        }
        return ", ".join(f"{count} {what}" for what, count in found.items() if count)


class LoadFailed(Exception):
    """Not all clients could join, or the load generator failed; the text says which."""


class RunningLoad:
    """A load generator that runs."""

    def __init__(self, load: Load, port: int, wire: str) -> None:
        options = [f"--{name}={value}".split("=") for name, value in asdict(load).items()]
        command = [
            str(build("load")),
            "--port",
            str(port),
            "--wire",
            wire,
            *(word for pair in options for word in pair),
        ]
        with pinned(cores()[1]):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().removeprefix("load: ")
            raise LoadFailed(said or f"the load generator ended with status {self._process.wait()}")
        return line

    def _wait_for(self, step: str) -> None:
        line = self._next_line()
        assert line == f"{step}\n", line

    def _go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait_until_in(self) -> None:
        """Wait until all clients are in the room. Raises `LoadFailed`."""
        self._wait_for("in")

    def work(self) -> None:
        """Let the clients talk until every message has been sent and received."""
        self._go_on()
        self._wait_for("done")

    def report(self) -> Report:
        """Let the clients leave, and return the results."""
        self._go_on()
        return parse_report(self._next_line())

    def end(self) -> None:
        """Kill it, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


def parse_report(line: str) -> Report:
    """Return the report that the load generator prints at its end."""
    return msgspec.json.decode(line, type=Report)


@contextlib.contextmanager
def under_load(load: Load, port: int, wire: str = "line") -> Iterator[RunningLoad]:
    """Put a server that listens on `port` under load."""
    running = RunningLoad(load, port, wire)
    try:
        yield running
    finally:
        running.end()
