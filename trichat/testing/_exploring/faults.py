"""Faults of the network and of the disk, each at one place in a run."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import trio

from trichat._base.errors import ConnectionLost
from trichat._net.transport import Bytes
from trichat.testing._chat.memory_transport import MemoryTransport, Pipe
from trichat.testing._probing.checkpoint_probe import Probe

# What can go wrong, by kind of place.
STREAM_FAULTS = ("breaks", "one byte", "late", "ends")
WRITE_FAULTS = ("full", "fails")
SYNC_FAULTS = ("fails",)

# Virtual seconds that "late" is late: longer than a test waits for a line, and longer than a hook may take.
LATE = 10.0


class Fault(NamedTuple):
    """One fault: the place, the number of the operation there, and what goes wrong in it."""

    place: str
    number: int
    what: str

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Parse the output of `str`. Raises `ValueError`."""
        place, _, what = text.partition(": ")
        place, _, number = place.rpartition(" #")
        if not place or not what or not number.isdecimal():
            raise ValueError(
                f"{text!r} is not a case; name a place, a number and a fault, such as 'send to client 1 #2: breaks'"
            )
        return cls(place, int(number), what)

    def __str__(self) -> str:
        return f"{self.place} #{self.number}: {self.what}"


class Faults:
    """Counts the operations of a run that could fail, and lets one of them fail."""

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault = fault
        self._done: Counter[str] = Counter()
        self._connections = 0
        self.happened = False
        """Whether the fault happened."""
        self.probe: Probe | None = None
        """The probe of the run. While it is not looking, nothing fails and nothing is counted."""

    def __str__(self) -> str:
        return str(self._fault)

    def describe(self) -> str:
        """Return the fault, and whether it happened."""
        return f"{self._fault}" if self.happened else f"{self._fault}: this did not happen"

    def excuses(self, failure: str) -> bool:
        """Whether a logged failure is only the fault of the disk."""
        on_disk = self._fault is not None and self._fault.place.startswith(("write ", "sync "))
        return on_disk and any(os.strerror(number) in failure for number in (errno.ENOSPC, errno.EIO))

    def possible(self) -> Iterator[Fault]:
        """Yield every fault that could have happened in the counted run."""
        for place, count in self._done.items():
            kinds = {"write": WRITE_FAULTS, "sync": SYNC_FAULTS}.get(place.partition(" ")[0], STREAM_FAULTS)
            for number in range(1, count + 1):
                for what in kinds:
                    yield Fault(place, number, what)

    def next(self, place: str) -> str:
        """Count an operation at `place`, and return what goes wrong in it: nearly always nothing."""
        if self.probe is not None and not self.probe.is_looking:
            return ""
        self._done[place] += 1
        if self._fault is None or self._fault[:2] != (place, self._done[place]):
            return ""
        self.happened = True
        return self._fault.what

    def transport(self, incoming: Pipe, outgoing: Pipe, address: str) -> MemoryTransport:
        """Make the server's end of a connection, which may fail."""
        self._connections += 1
        return _FaultyTransport(incoming, outgoing, address, self, f"client {self._connections}")

    @contextmanager
    def on_disk(self, folder: Path) -> Iterator[None]:
        """Inside the block, let writes and syncs of the files in `folder` fail. Only `os.write` and the like can."""
        write, fsync, fdatasync = os.write, os.fsync, os.fdatasync
        full: set[int] = set()
        place = str(folder.resolve())

        def faulty_write(fd: int, data: bytes) -> int:
            name = _file_in(place, fd)
            what = self.next(f"write {name}") if name else ""
            if what == "fails":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if fd in full:
                full.remove(fd)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if what == "full":
                # The kernel, too, writes what still fits, and fails only in the next call.
                full.add(fd)
                return write(fd, data[: (len(data) + 1) // 2])
            return write(fd, data)

        def faulty(sync: Callable[[int], None]) -> Callable[[int], None]:
            def faulty_sync(fd: int) -> None:
                name = _file_in(place, fd)
                if name and self.next(f"sync {name}"):
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                sync(fd)

            return faulty_sync

        with (
            mock.patch("os.write", faulty_write),
            mock.patch("os.fsync", faulty(fsync)),
            mock.patch("os.fdatasync", faulty(fdatasync)),
        ):
            yield


def _file_in(folder: str, fd: int) -> str:
    """Return the name of the file in `folder` that is open as `fd`; empty if `fd` is not one of these files."""
    with suppress(OSError):
        parent, name = os.path.split(os.readlink(f"/proc/self/fd/{fd}"))
        if parent == folder:
            return name
    return ""


class _FaultyTransport(MemoryTransport):
    def __init__(self, incoming: Pipe, outgoing: Pipe, address: str, faults: Faults, who: str) -> None:
        super().__init__(incoming, outgoing, address)
        self._faults = faults
        self._who = who
        self._is_late = False

    async def receive(self) -> bytes:
        match self._faults.next(f"receive from {self._who}"):
            case "breaks":
                raise self._broken()
            case "one byte":
                return await self.receive_at_most(1)
            case "late":
                await trio.sleep(LATE)
            case "ends":
                self.incoming.end()
                await trio.lowlevel.checkpoint()
                return b""
        return await super().receive()

    def receive_nowait(self) -> bytes | None:
        return None  # so that everything comes through `receive` and its faults

    def send_nowait(self, data: Bytes) -> int:
        match self._faults.next(f"send to {self._who}"):
            case "breaks" | "ends":
                raise self._broken()
            case "one byte":
                return super().send_nowait(data[:1])
            case "late":
                self._is_late = True
                return 0
        return super().send_nowait(data)

    async def send_some(self, data: Bytes) -> int:
        if self._is_late:
            self._is_late = False
            await trio.sleep(LATE)
        return await super().send_some(data)

    def _broken(self) -> ConnectionLost:
        self.incoming.cut()
        self.outgoing.cut()
        return ConnectionLost("connection lost: Connection reset by peer")
