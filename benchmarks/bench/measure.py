"""One run: measures a server from outside, under the load of a row."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.build import BUILD
from bench.load import Load, LoadFailed, Report, under_load
from bench.processes import DidNotStart, Process, cores, free_port
from bench.rows import Row
from bench.servers import Server


class CannotTell(Exception):
    """A run gave no figure; the text says why not."""


@dataclass(frozen=True)
class Run:
    """The result of a run: figures by their names in `FIGURES`, in seconds and bytes; or the reason for having none."""

    figures: dict[str, float]
    faults: str = ""
    """Messages that were lost and the like."""
    limited_by_load: bool = False
    """Whether the load generator had more work than the server, so that the server waited for it."""
    failure: str = ""

    def cost(self, server: str) -> float:
        """Return the processor time of a delivery, in seconds. If there is none, raises `CannotTell` with `server`."""
        if self.failure or self.faults:
            raise CannotTell(f"{server}: {self.failure or self.faults}")
        return self.figures["cpu"]


@dataclass(frozen=True)
class Started:
    """A server that runs."""

    server: Server
    process: Process
    port: int


def measure(row: Row, server: Server, *, quick: bool = False) -> Run:
    """Start the server, put it under load, and end it."""
    try:
        with started(server, row.log_lines) as running:
            return measure_started(row, shortened(row.load) if quick else row.load, running)
    except (DidNotStart, LoadFailed) as failure:
        return Run({}, failure=" ".join(str(failure).split()))


@contextmanager
def started(server: Server, log_lines: int = 0) -> Iterator[Started]:
    """Start the server in a folder of its own, with so many lines in its chat log, and end it after the block.

    Raises `DidNotStart`.
    """
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILD) as name:
        folder, port = Path(name), free_port()
        if log_lines:
            write_log(folder / "chat_log.txt", log_lines)
        process = Process(server.command(folder, port), folder, port, cores()[0])
        try:
            yield Started(server, process, port)
        finally:
            process.end()


def measure_started(row: Row, load: Load, running: Started) -> Run:
    """Put a server under load, and measure its cost. Raises `LoadFailed`."""
    server, process = running.server, running.process
    load = fitting(load, server)
    memory, at_start = process.memory(), process.cpu()
    with under_load(load, running.port, server.wire) as clients:
        clients.wait_until_in()
        idle = _look_at_idle(process, row.idle_seconds) if row.idle_seconds else 0.0
        figures = {
            "start": process.start_seconds,
            "memory": (process.memory() - memory) / load.clients,
            "grown": process.memory("VmHWM") - memory,
            "idle": idle,
        }
        before = process.cpu()
        clients.work()
        now = process.cpu()
        report = clients.report()
    cpu = now - before
    figures |= {"told_cpu": now - at_start} | figures_of(report, cpu)
    faults = report.faults()
    if server.one_order and report.orders > 1:
        faults += f" {report.orders} different orders"
    busiest = load.rate == 0 and load.messages > 1 and report.cpu_seconds > cpu
    return Run(figures, faults.strip(), limited_by_load=busiest)


def _look_at_idle(process: Process, seconds: float) -> float:
    """Return how much of a core the server uses when nobody does anything."""
    time.sleep(1)  # let the server finish its work for the joins
    before = process.cpu()
    time.sleep(seconds)
    return (process.cpu() - before) / seconds


def figures_of(report: Report, cpu: float) -> dict[str, float]:
    """Return the figures of the work itself, for which the server used `cpu` seconds of processor time."""
    return {
        "cpu": cpu / max(report.received, 1),
        "rate": report.sent / report.seconds if report.seconds else 0.0,
        "moves": report.moves / report.seconds if report.seconds else 0.0,
        "p50": report.p50_seconds,
        "p99": report.p99_seconds,
        "told": report.told_seconds,
        "first_line": report.first_line_seconds,
    }


def shortened(load: Load) -> Load:
    """Return the same load for a shorter time, for a quick look rather than a table."""
    return dataclasses.replace(
        load, seconds=min(load.seconds, 1.0), messages=min(load.messages, load.rate) if load.rate else load.messages
    )


def fitting(load: Load, server: Server) -> Load:
    """Return the same load, but let clients join no faster than the server can accept them."""
    return dataclasses.replace(load, burst=min(load.burst, server.burst))


def write_log(path: Path, lines: int) -> None:
    """Write a chat log with so many messages, one a second, all of them in the past."""
    start = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=lines)
    with path.open("w") as file:
        for number in range(lines):
            date = start + timedelta(seconds=number)
            file.write(f"{date:%Y-%m-%dT%H:%M:%S}.000000Z lobby user{number % 50}: message {number} {'.' * 40}\n")
