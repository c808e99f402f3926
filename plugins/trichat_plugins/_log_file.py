"""A file that lines are appended to: all of a batch or nothing, recovered after a crash, one writer at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 65_536


class LogFile:
    """An open log. Raises `OSError` whenever the file or the disk does; `append` has changed nothing then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._torn = False
        """An append failed and could not be undone: half a line is at the end."""
        # Not for others: what a team says to each other is nobody else's business.
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise OSError(error.errno, "another server is writing to it", str(path)) from None

    def set_torn_line_aside(self) -> Path | None:
        """Move an unfinished last line, which a crash has left, to a file of its own, and return that file's path."""
        size = os.fstat(self._fd).st_size
        end = self._end_of_last_line(size)
        if end == size:
            return None
        aside = self.path.with_name(self.path.name + ".torn")
        with aside.open("ab") as file:
            for offset in range(end, size, _BLOCK):
                file.write(os.pread(self._fd, min(_BLOCK, size - offset), offset))
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

    def lines_backwards(self) -> Iterator[bytes]:
        """Yield the lines that are there now, without their ends, the last one first."""
        rest = b""
        for block, _ in self._blocks_backwards(os.fstat(self._fd).st_size):
            rest, *lines = (block + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
        if rest:
            yield rest

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, without their ends, from the first to the last one that is finished."""
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]

    def append(self, data: bytes) -> None:
        """Append whole lines: all of them or, when it raises, none."""
        written = 0
        if self._torn:
            data = b"\n" + data
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            self.take_back(written)
            raise
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
        """Whether the path leads to another file now, or to none."""
        with contextlib.suppress(FileNotFoundError):
            return not os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        return True

    def close(self) -> None:
        """Close the file, and let another server have it."""
        os.close(self._fd)
