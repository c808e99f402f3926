"""The installed `trichat serve` as a process, and people with real sockets."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# Seconds after which a test gives up on a process. A test that passes never waits this long.
PATIENCE = 20.0

TRICHAT = str(Path(sys.executable).with_name("trichat"))


class Served:
    """A server process in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, stderr: int | None = None, shell: str = ":") -> None:
        self.folder = folder
        self._callers: list[Caller] = []
        self._stderr = (folder / "stderr.txt").open("a+")
        self.process = subprocess.Popen(
            [
                "sh",
                "-c",
                f'{shell}; exec "$@"',
                "sh",
                TRICHAT,
                "serve",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                *arguments,
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self._stderr if stderr is None else stderr,
            text=True,
        )
        self.banner: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.banner.append(line.rstrip("\n"))
            if line.startswith("connect with:"):
                break
        else:
            raise AssertionError(f"it did not start: {self.errors()}")
        self.port = int(re.findall(r"\d+$", self.banner[-1])[0])

    def errors(self) -> str:
        """Return what it has written to standard error so far, in all runs in this folder."""
        return (self.folder / "stderr.txt").read_text()

    def logs(self, text: str) -> None:
        """Expect a text in its log, which it may write a moment later than everything else."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.errors():
            assert time.monotonic() < deadline, f"{text!r} is not in {self.errors()}"

    def log(self) -> list[str]:
        """Return the lines of the chat log, without the dates."""
        lines = (self.folder / "chat_log.txt").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines]

    def connect(self, address: str = "127.0.0.1") -> "Caller":
        """Connect from an address of this machine."""
        caller = Caller(self.port, address)
        self._callers.append(caller)
        return caller

    def join(self, name: str, address: str = "127.0.0.1") -> "Caller":
        """Connect, give a name, and read up to the welcome."""
        caller = self.connect(address)
        caller.say(name)
        caller.reads_to("* welcome, ")
        return caller

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def ends(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Hang up all callers, and make sure that the process has ended."""
        for caller in self._callers:
            caller.hang_up()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._stderr.close()


@contextlib.contextmanager
def served(folder: Path, *arguments: str, stderr: int | None = None, shell: str = ":") -> Iterator[Served]:
    """Run `trichat serve` in `folder`, on a free port of 127.0.0.1. Its log goes to a file, or to `stderr`.

    A shell runs the command `shell` first, and then becomes the server.
    """
    server = Served(folder, *arguments, stderr=stderr, shell=shell)
    try:
        yield server
    finally:
        server.close()


class Caller:
    """Somebody with `nc`."""

    def __init__(self, port: int, address: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(address, 0))
        self._file = self.socket.makefile("rb")

    def say(self, *lines: str) -> None:
        """Send lines, all at once."""
        self.send("".join(f"{line}\n" for line in lines).encode())

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def line(self) -> str | None:
        """Read a line; `None` at the end of the connection."""
        line = self._file.readline()
        assert not line or line.endswith(b"\n"), f"half a line before the end: {line!r}"
        return line[:-1].decode() if line else None

    def reads(self, *lines: str) -> None:
        """Expect these lines, one after the other."""
        assert [self.line() for _ in lines] == list(lines)

    def reads_to(self, start: str) -> list[str]:
        """Read until a line begins with `start`, and return all lines."""
        lines: list[str] = []
        while not lines or not lines[-1].startswith(start):
            line = self.line()
            assert line is not None, f"no line begins with {start!r}: {lines}"
            lines.append(line)
        return lines

    def waits_for(self, condition: Callable[[], bool]) -> None:
        """Talk to the server until `condition` holds. Each answer shows that the server has kept running."""
        for _ in range(2000):
            if condition():
                return
            self.say("/zzz")
            self.reads("* there is no command /zzz; a space in front of the slash makes it text")
        raise AssertionError("the condition never held")

    def rest(self) -> list[str]:
        """Read to the end of the connection."""
        return [line.decode().removesuffix("\n") for line in self._file]

    def hang_up(self) -> None:
        """Close the connection."""
        self._file.close()
        self.socket.close()

    def reset(self) -> None:
        """Break the connection, like a machine that was switched off and on."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.hang_up()

    def send_eof(self) -> None:
        """Send nothing more but keep reading, like `nc -N` at the end of its input."""
        self.socket.shutdown(socket.SHUT_WR)


def trichat(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of `trichat`, and wait until it ends."""
    return subprocess.run([TRICHAT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False)


def without_date(line: str) -> str:
    """Return a line of the history without its date."""
    date, _, rest = line.partition("] ")
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", date), line
    return rest


def is_root() -> bool:
    """Whether the tests run as root, for whom file permissions do not apply."""
    return os.geteuid() == 0


def write_config(folder: Path, text: str) -> str:
    path = folder / "chat.toml"
    path.write_text(text)
    return str(path)
