"""Drives the load generator: what it is asked for, what it answers, and the steps in between."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import msgspec

from bench.build import build
from bench.processes import cores, pinned


@dataclass(frozen=True)
class Load:
    """What clients do; all in one room. The same names are the options of `load.c`."""

    clients: int
    senders: int = 1
    messages: int = 0
    """0 for clients that are idle."""
    rate: int = 0
    """Messages a second; 0 for as many as the window has room for."""
    window: int = 512
    size: int = 64
    """Bytes of a message, without its sender and its end."""
    slow: int = 0
    """Clients, of `clients`, that read nothing once they are in."""
    burst: int = 0
    """How many come in at a time; 0 for all at once."""
    seconds: float = 4.0
    """After which no more messages are sent."""
    patience: float = 10.0
    """Seconds without any news after which what is missing is lost."""
    limit: float = 60.0
    """Seconds for all to come in."""
    first: int = 0
    """The number in the name of the first client. Loads that follow each other on one server need names of their own:
    the server may not have noticed yet that the clients before have left."""


class Report(msgspec.Struct, frozen=True):
    """What the load generator found. It is what `report` in `load.c` prints."""

    clients: int
    in_seconds: float
    """From the first connection until all were in."""
    told_seconds: float
    """From the first connection until the last message had reached everyone."""
    first_line_seconds: float
    """From a client's name to the first line that it got: the most of all clients."""
    sent: int
    expected: int
    """Copies that had to arrive."""
    received: int
    missing: int
    duplicated: int
    out_of_order: int
    orders: int
    """In how many different orders the clients got it all."""
    lost_clients: int
    """Who was disconnected, but for the slow ones."""
    lost_slow: int
    seconds: float
    """From the first message until the last copy of the last one."""
    cpu_seconds: float
    """What the load generator itself took in that time."""
    p50_seconds: float
    p99_seconds: float

    def faults(self) -> str:
        """Return what a chat server must not do and this one did, or nothing."""
        found = {
            "missing": self.missing,
            "duplicated": self.duplicated,
            "out of order": self.out_of_order,
            "clients lost": self.lost_clients,
        }
        return ", ".join(f"{count} {what}" for what, count in found.items() if count)


class LoadFailed(Exception):
    """Not all clients got in, or something is wrong with the load generator; it says which."""


class RunningLoad:
    """A load generator at work."""

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
        """Let them talk, until all was said and heard."""
        self._go_on()
        self._wait_for("done")

    def report(self) -> Report:
        """Ask what was found. The clients leave."""
        self._go_on()
        return parse_report(self._next_line())

    def end(self) -> None:
        """End it, wherever it is."""
        self._process.kill()
        self._process.communicate()


def parse_report(line: str) -> Report:
    """Return what the load generator printed at its end."""
    return msgspec.json.decode(line, type=Report)


@contextlib.contextmanager
def under_load(load: Load, port: int, wire: str = "line") -> Iterator[RunningLoad]:
    """Put a server that listens on `port` under load."""
    running = RunningLoad(load, port, wire)
    try:
        yield running
    finally:
        running.end()
