"""The log of a server that nobody reads, or not for now: whoever logs does not wait, and what is missing is said."""

import fcntl
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_kit import PATIENCE, TRICHAT, served

from trichat._ops import log_writer
from trichat._ops.log_writer import LogThread


class Pipe:
    """A pipe of a page, and a log that is written to it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, 4096)
        before = set(threading.enumerate())
        self.handler = LogThread(self._writing)
        (self.thread,) = set(threading.enumerate()) - before
        self.logger = logging.Logger("of the test")  # noqa: LOG001 - nobody else shall have it
        self.logger.addHandler(self.handler)

    def fill(self) -> None:
        """Write as much as goes into it, a byte in each line."""
        os.set_blocking(self._writing, False)
        os.write(self._writing, b"x\n" * 2048)
        os.set_blocking(self._writing, True)

    def share_with_somebody_who_does_not_wait(self) -> None:
        os.set_blocking(self._writing, False)

    def ends(self) -> list[str]:
        """Close the log, and read to its end."""
        lines: list[str] = []

        def read() -> None:
            with os.fdopen(self._reading) as file:
                lines.extend(line for line in file.read().splitlines() if line != "x")

        reader = threading.Thread(target=read)
        reader.start()
        self.handler.flush()
        self.handler.close()
        self.thread.join(20)
        os.close(self._writing)
        reader.join(20)
        return lines

    def loses_its_reader(self) -> None:
        os.close(self._reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    assert not pipe.thread.is_alive(), "it has ended with its log"


def test_lines_are_written_in_order(pipe: Pipe) -> None:
    for number in range(1000):
        pipe.logger.warning("line %d", number)
    assert pipe.ends() == [f"line {number}" for number in range(1000)]


def test_whoever_logs_does_not_wait_for_who_reads(pipe: Pipe) -> None:
    pipe.fill()
    for number in range(1000):
        pipe.logger.warning("line %d", number)
    assert pipe.ends() == [f"line {number}" for number in range(1000)]


def test_lines_that_are_too_many_are_dropped_and_counted_where_they_are_missing(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "WAITING", 10)
    pipe.fill()
    for number in range(100):
        pipe.logger.warning("line %d", number)
    lines = pipe.ends()
    expected = 0
    for line in lines:
        missing = re.fullmatch(r"\((\d+) lines are missing here: the log was read too slowly\)", line)
        if missing is None:
            assert line == f"line {expected}"
        expected += int(missing[1]) if missing else 1
    assert expected == 100
    # The thread may have taken one more, which it has begun to write.
    assert len(lines) <= 10 + 1 + 2


def test_an_end_does_not_wait_for_ever_for_who_reads(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "PATIENCE", 0.01)
    pipe.fill()
    pipe.logger.warning("hello")
    pipe.handler.flush()
    assert pipe.ends() == ["hello"]


def test_lines_are_whole_where_a_write_may_not_wait(pipe: Pipe) -> None:
    pipe.fill()
    pipe.share_with_somebody_who_does_not_wait()
    for number in range(100):
        pipe.logger.warning("line %d %s", number, "x" * 1000)
    assert pipe.ends() == [f"line {number} {'x' * 1000}" for number in range(100)]


def test_a_reader_that_has_gone_is_nobodys_fault(pipe: Pipe) -> None:
    pipe.loses_its_reader()
    pipe.logger.warning("hello")
    pipe.handler.flush()
    pipe.handler.close()
    pipe.thread.join(20)


def test_a_line_that_cannot_be_made_is_told_of_with_its_place(pipe: Pipe) -> None:
    pipe.logger.warning("%d", "three")
    pipe.logger.warning("\ud800")
    first, *_, last = pipe.ends()
    assert first.startswith(f"{__file__}:")
    assert first.endswith(": cannot format this log line")
    assert last == "\\ud800"


@pytest.fixture
def unread() -> Iterator[int]:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield writing
    os.close(reading)
    os.close(writing)


def test_a_server_whose_log_nobody_reads_goes_on_and_can_be_stopped(tmp_path: Path, unread: int) -> None:
    with served(tmp_path, stderr=unread) as server:
        alice = server.join("alice")
        for _ in range(200):  # more than the pipe takes
            server.connect().hang_up()
        alice.say("still there?")
        alice.reads("alice: still there?")
        server.signal(signal.SIGTERM)
        assert alice.rest() == ["* the server is stopping (got SIGTERM)"]
        assert server.ends() == 0


def test_a_server_without_standard_error_has_no_log(tmp_path: Path) -> None:
    command = f"exec {TRICHAT} serve --host 127.0.0.1 --port 0 2>&-"
    with subprocess.Popen(["bash", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("trichat listens on 127.0.0.1:")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
