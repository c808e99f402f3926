"""A file to which lines are appended: a whole batch or nothing, with recovery after a crash, and one writer only."""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 65_536

# A longer line is not a message, and is skipped: a power cut may leave a hole of zeros of any length. The longest
# message has 1 MiB, the largest `max_line_bytes`. Each of its bytes may have become U+FFFD, which takes three; a date,
# a room, a name and escapes are added.
LONGEST_LINE = 8 * 1024 * 1024

# Ends half a line that could not be removed, so that nobody reads it as a whole one.
TORN = b"\0"


class LogFile:
    """An open log. Its methods raise `OSError` when the file or the disk fails; then `append` has changed nothing.

    If `lasting`, a new file is still there after a crash.
    """

    def __init__(self, path: Path, *, lasting: bool = True) -> None:
        self._fd = -1  # for `__del__`, if the file cannot be opened
        self.path = path
        self._lasting = lasting
        self._torn = False
        """Whether an append failed and could not be undone, so that half a line is at the end."""
        self._fd = _open(path, lasting=lasting)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise OSError(error.errno, "another server is writing to it", str(path)) from None

    def __del__(self) -> None:
        # After a rotation, a worker thread may still read or sync the old file. The last holder closes it.
        self.close()

    def unlock(self) -> None:
        """Let another server write to the file. It can still be read here."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, and let another server write to it. Safe to repeat."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def set_torn_line_aside(self) -> Path | None:
        """Move an unfinished last line, left by a crash, to a file of its own, and return that file's path."""
        size = os.fstat(self._fd).st_size
        end = self._end_of_last_line(size)
        if end == size:
            return None
        aside = self.path.with_name(self.path.name + ".torn")
        with open(_open(aside, lasting=self._lasting), "ab") as file:
            file.writelines(os.pread(self._fd, min(_BLOCK, size - start), start) for start in range(end, size, _BLOCK))
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._fd, end)
        return aside

    def _end_of_last_line(self, size: int) -> int:
        for block, start in self._blocks_backwards(size):
            found = block.rfind(b"\n")
            if found >= 0:
                return start + found + 1
        return 0

    def _blocks_backwards(self, end: int) -> Iterator[tuple[bytes, int]]:
        while end > 0:
            start = max(0, end - _BLOCK)
            yield os.pread(self._fd, end - start, start), start
            end = start

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        start = 0
        while block := os.pread(self._fd, _BLOCK, start):
            yield block, start
            start += len(block)

    # Both readers find where a line begins and ends before they keep any of it. A line in several blocks is then read
    # again as a whole, or not at all if it is too long. A line within one block is never too long. So the readers need
    # memory for one block and one line, and read no byte more than twice.

    def lines_backwards(self) -> Iterator[bytes]:
        """Yield the lines that the file has now, without their ends, the last one first.

        Empty lines and those longer than `LONGEST_LINE` are left out.
        """
        end = os.fstat(self._fd).st_size  # of the line whose beginning has not been found yet
        for block, start in self._blocks_backwards(end):
            first, *lines = block.split(b"\n")
            if lines:
                lines[-1] = self._line(start + len(block) - len(lines[-1]), end)
                yield from filter(None, reversed(lines))
                end = start + len(first)
        if line := self._line(0, end):
            yield line

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, without their ends, from the first to the last one that is finished.

        Empty lines and those longer than `LONGEST_LINE` are left out.
        """
        begin = 0  # of the line whose end has not been found yet
        for block, start in self._blocks():
            *lines, last = block.split(b"\n")
            if lines:
                lines[0] = self._line(begin, start + len(lines[0]))
                yield from filter(None, lines)
                begin = start + len(block) - len(last)

    def _line(self, start: int, end: int) -> bytes:
        """Return the line in between, or nothing if it is too long to be one."""
        return os.pread(self._fd, end - start, start) if end - start <= LONGEST_LINE else b""

    def append(self, data: bytes) -> None:
        """Append whole lines: all of them or, if it raises, none."""
        if self._torn:
            data = TORN + b"\n" + data
        rest = data
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self.take_back(len(data) - len(rest))
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        self._torn = False

    def take_back(self, size: int) -> None:
        """Remove the last `size` bytes, which were appended last."""
        if not size:
            return
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - size)
        except OSError:
            self._torn = True

    def sync(self) -> None:
        """Wait until the disk has what was appended."""
        os.fdatasync(self._fd)

    def was_moved(self) -> bool:
        """Whether the path now leads to another file, or to none."""
        with contextlib.suppress(FileNotFoundError):
            return not os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        return True


def _open(path: Path, *, lasting: bool) -> int:
    """Open a file for appending. A new one can be read by its owner and group only."""
    is_new = lasting and not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    if is_new:
        # A folder that may be written but not read cannot be synced either.
        with contextlib.suppress(PermissionError):
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    return fd
