"""Processes: each one is pinned to a core, and measured from outside."""

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# Seconds within which a server must listen.
PATIENCE = 30.0

# Seconds between two attempts to connect.
LOOK = 0.001

_TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A server ended, or did not listen in time. The text has the last lines that it printed."""


def cores() -> tuple[int, int]:
    """Return the core for the server and the core for the load: the same one if the machine has only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Make processes that start in the block run on `core` alone, with all their threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Bystanders:
    """Measures the processor time of all processes except this one and its children."""

    def __init__(self) -> None:
        self._before = self._now()

    def share(self) -> float:
        """Return the share of all cores that they have used since this object was created."""
        busy, own, all_time = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return max(0.0, busy - own) / all_time if all_time else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        user, nice, system, idle, waiting, *rest = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
        busy = user + nice + system + sum(rest)
        return busy / _TICKS, sum(os.times()[:4]), (busy + idle + waiting) / _TICKS


def raise_file_limit() -> None:
    """Raise the limit of open files, for this process and its children, as far as it goes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Process:
    """A server that runs on `core`. Times in seconds, memory in bytes."""

    def __init__(self, command: Sequence[str | Path], folder: Path, port: int, core: int) -> None:
        self._output = folder / "output.txt"
        # Only the server is pinned to this core: the attempts to connect use a good part of a core.
        with self._output.open("wb") as output, pinned(core):
            started = time.perf_counter()
            self._process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_listening(port)
        except BaseException:
            self.end()
            raise
        self.start_seconds = time.perf_counter() - started

    def _wait_until_listening(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DidNotStart(f"it ended: {self.last_words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
                return
            time.sleep(LOOK)
        raise DidNotStart(f"it did not listen within {PATIENCE:g} s: {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of what it printed."""
        return self._output.read_text(errors="replace").strip()[-300:]

    def cpu(self) -> float:
        """Return the processor time of all its threads, including those that have ended."""
        # The CPU clock of another process, as in clock_getcpuclockid(3). It counts nanoseconds; /proc has hundredths
        # of a second.
        return time.clock_gettime(~self._process.pid << 3 | 2)

    def memory(self, field: str = "VmRSS") -> int:
        """Return its memory in bytes: the current amount, or with `VmHWM` the peak."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{field}:"))

    def end(self) -> None:
        """Kill it. Nothing of it is needed afterwards."""
        self._process.kill()
        self._process.wait()
