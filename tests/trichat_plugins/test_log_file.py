"""A log file: whole batches or nothing, recovered after a crash, one writer at a time."""

import os
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from disk_kit import disk_full_at
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trichat_plugins import _log_file
from trichat_plugins._log_file import LONGEST_LINE, LogFile

from trichat import Message, format_log_lines

# What the file is read by, from its end.
BLOCK = 65_536


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@contextmanager
def file_with(content: bytes, *, block: int = BLOCK, longest: int = LONGEST_LINE) -> Iterator[LogFile]:
    """A log that has `content` already, and is read by blocks of `block` bytes."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_log_file, "_BLOCK", block)
        patch.setattr(_log_file, "LONGEST_LINE", longest)
        path = Path(folder) / "log.txt"
        path.write_bytes(content)
        with closing(LogFile(path)) as log:
            yield log


# Anything at all, with enough line ends in it.
contents = st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"", b"\r\n"]), max_size=12).map(b"\n".join)
blocks = st.integers(1, 20)
extras = st.integers(0, 20)
"""By how many bytes the longest line is longer than a block."""


def lines_of(content: bytes, longest: int = LONGEST_LINE) -> list[bytes]:
    """Return the lines that may be messages; the last one may be unfinished."""
    return [line for line in content.split(b"\n") if 0 < len(line) <= longest]


# Opening and closing.


def test_the_file_is_made_when_it_is_not_there(path: Path) -> None:
    with closing(LogFile(path)):
        assert path.read_bytes() == b""


def test_a_new_file_is_for_its_owner_and_group_alone(path: Path) -> None:
    umask = os.umask(0)
    try:
        LogFile(path).close()
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_mode_of_a_file_that_is_there_stays(path: Path) -> None:
    path.touch()
    path.chmod(0o664)
    LogFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_what_is_there_stays(path: Path) -> None:
    path.write_bytes(b"one\n")
    with closing(LogFile(path)) as log:
        log.append(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_second_writer_is_refused_and_harms_nothing(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        with pytest.raises(OSError, match="another server is writing to it") as refused:
            LogFile(path)
        log.append(b"two\n")
    assert refused.value.filename == str(path)
    assert path.read_bytes() == b"one\ntwo\n"


def test_after_a_close_another_may_have_it(path: Path) -> None:
    LogFile(path).close()
    LogFile(path).close()


@pytest.mark.parametrize(
    ("name", "error"), [(".", IsADirectoryError), ("missing/log.txt", FileNotFoundError)], ids=["directory", "nowhere"]
)
def test_what_cannot_be_opened_is_an_os_error(tmp_path: Path, name: str, error: type[OSError]) -> None:
    with pytest.raises(error):
        LogFile(tmp_path / name)


def test_no_child_process_inherits_the_file(path: Path) -> None:
    with closing(LogFile(path)) as log:
        assert not os.get_inheritable(log._fd)


# Appending.


def test_a_batch_that_the_disk_has_no_room_for_changes_nothing(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        with disk_full_at(10), pytest.raises(OSError, match="File too large") as refused:
            log.append(b"two\nthree\nfour\n")
        assert path.read_bytes() == b"one\n"
        log.append(b"five\n")
    assert refused.value.filename == str(path)
    assert path.read_bytes() == b"one\nfive\n"


def test_a_full_disk_takes_nothing(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        with disk_full_at(4), pytest.raises(OSError, match="File too large"):
            log.append(b"two\n")
        assert path.read_bytes() == b"one\n"


def test_a_write_that_takes_only_a_part_is_gone_on_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with closing(LogFile(path)) as log:
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
        log.append(b"one\ntwo\nthree\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_what_cannot_be_taken_back_stays_on_a_line_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", broken)
            with disk_full_at(6), pytest.raises(OSError, match="File too large"):
                log.append(b"two\n")
        assert path.read_bytes() == b"one\ntw"
        log.append(b"three\n")
        log.append(b"four\n")
    assert path.read_bytes() == b"one\ntw\0\nthree\nfour\n"


def test_half_a_line_is_still_ended_after_another_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    with closing(LogFile(path)) as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", broken)
            with disk_full_at(2), pytest.raises(OSError, match="File too large"):
                log.append(b"one\n")
        with disk_full_at(5), pytest.raises(OSError, match="File too large"):
            log.append(b"two\n")
        assert path.read_bytes() == b"on"
        log.append(b"three\n")
    assert path.read_bytes() == b"on\0\nthree\n"


def test_the_last_batch_can_be_taken_back(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        log.append(b"two\nthree\n")
        log.take_back(len(b"two\nthree\n"))
        assert path.read_bytes() == b"one\n"
        log.take_back(0)
        assert path.read_bytes() == b"one\n"


def test_appending_nothing_changes_nothing(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        log.append(b"")
    assert path.read_bytes() == b"one\n"


def test_the_file_goes_on_at_its_end_when_it_was_emptied(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        os.truncate(path, 0)  # as logrotate does with copytruncate
        log.append(b"two\n")
    assert path.read_bytes() == b"two\n"


# Reading.


@settings(deadline=None)
@given(contents, blocks, extras)
@example(b"one\ntwo\n", 4, 0)
@example(b"one\ntwo\n", 3, 0)
@example(b"\n\none", 1, 2)
@example(b"one\ntwo", 2, 0)
def test_the_lines_are_read_backwards_wherever_the_blocks_are_cut(content: bytes, block: int, extra: int) -> None:
    with file_with(content, block=block, longest=block + extra) as log:
        assert list(log.lines_backwards()) == lines_of(content, block + extra)[::-1]


@settings(deadline=None)
@given(contents, blocks, extras)
@example(b"one\ntwo\n", 4, 0)
@example(b"one\ntwo\n", 3, 0)
@example(b"\n\none", 1, 2)
@example(b"one\ntwo\n", 2, 0)
def test_the_lines_are_read_forwards_up_to_the_last_finished_one(content: bytes, block: int, extra: int) -> None:
    with file_with(content, block=block, longest=block + extra) as log:
        assert list(log.lines()) == lines_of(content[: content.rfind(b"\n") + 1], block + extra)


def test_lines_longer_than_a_block_are_read() -> None:
    lines = [b"a" * 10, b"b" * (3 * BLOCK), b"c" * (BLOCK - 1), b"d", b"e" * LONGEST_LINE]
    with file_with(b"\n".join(lines) + b"\n") as log:
        assert list(log.lines()) == lines
        assert list(log.lines_backwards()) == lines[::-1]


def test_the_longest_message_of_a_client_is_no_longer_than_a_line_may_be() -> None:
    # The largest `max_line_bytes`, with no byte of it valid, in the longest room and from the longest name.
    [line] = format_log_lines([Message("\ufffd" * 1024 * 1024, "\U0001f600" * 32, ("\U0001f600" * 32,))]).splitlines()
    assert len(line.encode()) <= LONGEST_LINE // 2


def test_reading_does_not_move_where_is_appended(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\ntwo\n")
        backwards = log.lines_backwards()
        assert next(backwards) == b"two"
        log.append(b"three\n")
        assert list(backwards) == [b"one"]
    assert path.read_bytes() == b"one\ntwo\nthree\n"


# Bytes that are not ours: a hole that a power cut has left, or a line that somebody has added.

GAP = 100_000_000

# Bytes of memory for what was read last, and for the lines in it.
BLOCKS = 8 * BLOCK


@pytest.fixture(params=[b"", b"x"], ids=["hole", "line"])
def gap(request: pytest.FixtureRequest, path: Path) -> Callable[[], None]:
    """Adds so many bytes without a line end to the file: zeros that take no space on the disk, or something else."""

    def add() -> None:
        if request.param:
            with path.open("ab") as file:
                file.writelines(request.param * BLOCK for _ in range(GAP // BLOCK + 1))
        else:
            os.truncate(path, path.stat().st_size + GAP)

    path.touch()
    return add


@dataclass
class Cost:
    """What it took to read a log."""

    lines: list[bytes]
    memory: int
    """Bytes that were in use at once."""
    bytes_read: int


def cost_of(path: Path, read: Callable[[LogFile], Iterator[bytes]]) -> Cost:
    """Read all lines, and measure."""
    bytes_read = 0
    pread = os.pread

    def counted(fd: int, size: int, start: int) -> bytes:
        nonlocal bytes_read
        data = pread(fd, size, start)
        bytes_read += len(data)
        return data

    with closing(LogFile(path)) as log, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", counted)
        tracemalloc.start()
        try:
            lines = list(read(log))
            return Cost(lines, tracemalloc.get_traced_memory()[1], bytes_read)
        finally:
            tracemalloc.stop()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("before", [b"", b"one\ntwo\n"], ids=["at the start", "after lines"])
@pytest.mark.parametrize("after", [b"", b"\n", b"\nthree\nfour\n"], ids=["unfinished", "at the end", "before lines"])
def test_what_is_too_long_for_a_line_is_passed_over(
    path: Path, gap: Callable[[], None], before: bytes, after: bytes
) -> None:
    append(path, before)
    gap()
    append(path, after)
    lines = [line for line in (before + after).split(b"\n") if line]
    forwards, backwards = cost_of(path, LogFile.lines), cost_of(path, LogFile.lines_backwards)
    assert forwards.lines == lines
    assert backwards.lines == lines[::-1]
    for cost in (forwards, backwards):
        assert cost.memory < BLOCKS
        assert cost.bytes_read <= path.stat().st_size + 2 * len(before + after)


def test_many_lines_of_the_greatest_length_are_read_one_by_one(path: Path) -> None:
    for number in range(12):
        append(path, b"%x" % number)
        os.truncate(path, path.stat().st_size + LONGEST_LINE - 1)
        append(path, b"\n")
    first_byte = itemgetter(slice(1))
    forwards = cost_of(path, lambda log: map(first_byte, log.lines()))
    backwards = cost_of(path, lambda log: map(first_byte, log.lines_backwards()))
    assert b"".join(forwards.lines) == b"0123456789ab"
    assert b"".join(backwards.lines) == b"ba9876543210"
    for cost in (forwards, backwards):
        assert cost.memory < LONGEST_LINE + BLOCKS
        assert cost.bytes_read <= 2 * path.stat().st_size


def test_a_hole_at_the_end_is_set_aside_in_bounded_memory(path: Path) -> None:
    append(path, b"one\n")
    os.truncate(path, path.stat().st_size + GAP)
    with closing(LogFile(path)) as log:
        tracemalloc.start()
        try:
            aside = log.set_torn_line_aside()
            memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert path.read_bytes() == b"one\n"
    assert aside is not None
    assert aside.stat().st_size == GAP + 1
    assert memory < BLOCKS


# After a crash.


@settings(deadline=None)
@given(contents, blocks)
@example(b"one\ntwo", 3)
@example(b"one\ntwo", 4)
def test_a_torn_last_line_is_set_aside_wherever_it_begins(content: bytes, block: int) -> None:
    torn = content.rpartition(b"\n")[2]
    with file_with(content, block=block) as log:
        aside = log.set_torn_line_aside()
        assert log.path.read_bytes() == content.removesuffix(torn)
        if torn:
            assert aside == log.path.with_name("log.txt.torn")
            assert aside.read_bytes() == torn + b"\n"
        else:
            assert aside is None
            assert not log.path.with_name("log.txt.torn").exists()


@pytest.mark.parametrize("whole", [b"one\ntwo\n", b""], ids=["behind whole lines", "the whole file"])
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_a_torn_line_is_set_aside_however_long_it_is(whole: bytes, size: int) -> None:
    torn = bytes(ord("a") + i % 26 for i in range(size))
    with file_with(whole + torn) as log:
        aside = log.set_torn_line_aside()
        assert aside is not None
        assert aside.read_bytes() == torn + b"\n"
        assert log.path.read_bytes() == whole
        log.append(b"three\n")
        assert log.path.read_bytes() == whole + b"three\n"


def test_what_was_torn_is_not_for_everyone_to_read(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    umask = os.umask(0)
    try:
        with closing(LogFile(path)) as log:
            aside = log.set_torn_line_aside()
    finally:
        os.umask(umask)
    assert aside is not None
    assert stat.S_IMODE(aside.stat().st_mode) == 0o640


def test_what_an_earlier_crash_has_torn_is_kept() -> None:
    with file_with(b"one\ntw") as log:
        log.set_torn_line_aside()
        log.append(b"thr")
        aside = log.set_torn_line_aside()
        assert aside is not None
        assert aside.read_bytes() == b"tw\nthr\n"
        assert log.path.read_bytes() == b"one\n"


def test_a_torn_line_that_cannot_be_set_aside_stays(path: Path) -> None:
    path.write_bytes(b"one\ntw")
    path.with_name("log.txt.torn").mkdir()
    with closing(LogFile(path)) as log, pytest.raises(IsADirectoryError):
        log.set_torn_line_aside()
    assert path.read_bytes() == b"one\ntw"


# When somebody moves it.


def test_a_file_that_is_where_it_was_was_not_moved(path: Path) -> None:
    with closing(LogFile(path)) as log:
        log.append(b"one\n")
        assert not log.was_moved()


def test_a_file_that_was_renamed_was_moved(path: Path) -> None:
    with closing(LogFile(path)) as log:
        path.rename(path.with_name("log.txt.1"))
        assert log.was_moved()


def test_a_file_that_was_deleted_was_moved(path: Path) -> None:
    with closing(LogFile(path)) as log:
        path.unlink()
        assert log.was_moved()


def test_a_file_that_another_took_the_place_of_was_moved(path: Path) -> None:
    with closing(LogFile(path)) as log:
        path.rename(path.with_name("log.txt.1"))
        path.touch()
        assert log.was_moved()


def test_a_file_that_was_moved_is_still_written_to(path: Path) -> None:
    with closing(LogFile(path)) as log:
        moved = path.rename(path.with_name("log.txt.1"))
        log.append(b"one\n")
        log.sync()
        assert moved.read_bytes() == b"one\n"
