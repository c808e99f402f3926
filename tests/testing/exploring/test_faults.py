"""Faults: which ones there are, where they happen, and how the network and the disk behave then."""

import errno
import os
from pathlib import Path

import pytest
import trio

from trichat._base.errors import ConnectionLost
from trichat.testing._chat.memory_transport import MemoryTransport, Pipe
from trichat.testing._exploring.faults import LATE, Fault, Faults
from trichat.testing._probing.checkpoint_probe import Probe


class Connection:
    """The server's end of a connection on which something goes wrong, and the pipes on its other side."""

    def __init__(self, fault: str = "") -> None:
        self.faults = Faults(Fault.parse(fault) if fault else None)
        self.to_server, self.from_server = Pipe(), Pipe()
        self.server = self.faults.transport(self.to_server, self.from_server, "127.0.0.1")


@pytest.mark.parametrize(
    "text", ["send to client 1 #2: breaks", "receive from client 12 #1: one byte", "write chat_log.txt #3: full"]
)
def test_a_fault_reads_what_it_has_written(text: str) -> None:
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "send to client 1", "send to client 1 #2", "send to client 1 #x: breaks", "#1: breaks"]
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match="is not a case; name a place, a number and a fault, such as 'send to client 1 #2: breaks'"
    ):
        Fault.parse(text)


async def test_without_a_fault_it_only_counts_what_could_go_wrong() -> None:
    connection = Connection()
    connection.to_server.write(b"hello\n")
    assert await connection.server.receive() == b"hello\n"
    assert connection.server.send_nowait(b"one") == 3
    assert connection.server.send_nowait(b"two") == 3
    assert [str(fault) for fault in connection.faults.possible()] == [
        *(f"receive from client 1 #1: {what}" for what in ("breaks", "one byte", "late", "ends")),
        *(f"send to client 1 #1: {what}" for what in ("breaks", "one byte", "late", "ends")),
        *(f"send to client 1 #2: {what}" for what in ("breaks", "one byte", "late", "ends")),
    ]
    assert not connection.faults.happened


async def test_connections_are_numbered() -> None:
    faults = Faults()
    for _ in range(2):
        faults.transport(Pipe(), Pipe(), "127.0.0.1").send_nowait(b"hello")
    assert {fault.place for fault in faults.possible()} == {"send to client 1", "send to client 2"}


async def test_only_the_one_that_is_named_goes_wrong() -> None:
    connection = Connection("send to client 1 #2: breaks")
    assert connection.server.send_nowait(b"one") == 3
    assert not connection.faults.happened
    assert connection.faults.describe() == "send to client 1 #2: breaks: this did not happen"
    with pytest.raises(ConnectionLost, match="Connection reset by peer"):
        connection.server.send_nowait(b"two")
    assert connection.faults.happened
    assert connection.faults.describe() == "send to client 1 #2: breaks"


async def test_nothing_goes_wrong_and_nothing_counts_while_nobody_looks() -> None:
    connection = Connection("send to client 1 #1: breaks")
    connection.faults.probe = Probe()
    connection.faults.probe.is_looking = False
    assert connection.server.send_nowait(b"one") == 3
    connection.faults.probe.is_looking = True
    with pytest.raises(ConnectionLost):
        connection.server.send_nowait(b"two")


@pytest.mark.parametrize("what", ["breaks", "ends"])
async def test_a_connection_that_breaks_at_a_send_is_gone_for_both(what: str) -> None:
    connection = Connection(f"send to client 1 #1: {what}")
    connection.to_server.write(b"lost")
    with pytest.raises(ConnectionLost):
        connection.server.send_nowait(b"hello")
    with pytest.raises(ConnectionLost):
        await connection.server.receive()
    with pytest.raises(ConnectionResetError):
        await connection.from_server.read(100)


async def test_a_connection_that_breaks_at_a_receive_is_gone_for_both() -> None:
    connection = Connection("receive from client 1 #1: breaks")
    connection.to_server.write(b"lost")
    with pytest.raises(ConnectionLost):
        await connection.server.receive()
    with pytest.raises(ConnectionLost):
        connection.server.send_nowait(b"hello")
    with pytest.raises(ConnectionResetError):
        await connection.from_server.read(100)


async def test_one_byte_is_received_and_the_rest_by_the_next() -> None:
    connection = Connection("receive from client 1 #1: one byte")
    connection.to_server.write(b"hello")
    assert await connection.server.receive() == b"h"
    assert await connection.server.receive() == b"ello"


async def test_one_byte_is_sent_and_the_server_is_told_so() -> None:
    connection = Connection("send to client 1 #1: one byte")
    assert connection.server.send_nowait(b"hello") == 1
    assert await connection.server.send_some(b"ello") == 4
    assert await connection.from_server.read(100) == b"hello"


async def test_what_is_late_at_a_receive_comes_later(virtual_time: object) -> None:
    connection = Connection("receive from client 1 #1: late")
    connection.to_server.write(b"hello")
    before = trio.current_time()
    assert await connection.server.receive() == b"hello"
    assert trio.current_time() - before == pytest.approx(LATE)


async def test_what_is_late_at_a_send_is_taken_later(virtual_time: object) -> None:
    connection = Connection("send to client 1 #1: late")
    assert connection.server.send_nowait(b"hello") == 0
    before = trio.current_time()
    assert await connection.server.send_some(b"hello") == 5
    assert trio.current_time() - before == pytest.approx(LATE)
    assert await connection.from_server.read(100) == b"hello"


async def test_a_client_that_ends_says_no_more_but_hears() -> None:
    connection = Connection("receive from client 1 #1: ends")
    assert await connection.server.receive() == b""
    connection.server.send_nowait(b"goodbye")
    assert await connection.from_server.read(100) == b"goodbye"


async def test_a_receive_that_is_cancelled_while_it_is_late_loses_nothing(virtual_time: object) -> None:
    connection = Connection("receive from client 1 #1: late")
    connection.to_server.write(b"hello")
    with trio.move_on_after(1):
        await connection.server.receive()
    assert await connection.server.receive() == b"hello"


def write(path: Path, data: bytes) -> int:
    """Append to a file as the chat log does."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def test_writes_and_syncs_in_the_folder_count_and_others_do_not(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    faults = Faults()
    with faults.on_disk(inside):
        assert write(inside / "scores.txt", b"alice 7\n") == 8
        write(outside / "scores.txt", b"alice 7\n")
        with (inside / "scores.txt").open() as file:
            os.fsync(file.fileno())
            os.fdatasync(file.fileno())
    assert [str(fault) for fault in faults.possible()] == [
        "write scores.txt #1: full",
        "write scores.txt #1: fails",
        "sync scores.txt #1: fails",
        "sync scores.txt #2: fails",
    ]


def test_afterwards_the_disk_is_itself_again(tmp_path: Path) -> None:
    functions = (os.write, os.fsync, os.fdatasync)
    with Faults().on_disk(tmp_path):
        assert os.write is not functions[0]
    assert (os.write, os.fsync, os.fdatasync) == functions


def test_a_disk_that_is_full_takes_a_part_and_then_refuses(tmp_path: Path) -> None:
    with Faults(Fault.parse("write scores.txt #1: full")).on_disk(tmp_path):
        fd = os.open(tmp_path / "scores.txt", os.O_WRONLY | os.O_CREAT)
        assert os.write(fd, b"alice 7\n") == 4
        with pytest.raises(OSError, match="No space left on device") as caught:
            os.write(fd, b"e 7\n")
        assert caught.value.errno == errno.ENOSPC
        assert os.write(fd, b"e 7\n") == 4, "only one write fails"
        os.close(fd)
    assert (tmp_path / "scores.txt").read_bytes() == b"alice 7\n"


def test_a_write_that_fails_writes_nothing(tmp_path: Path) -> None:
    with Faults(Fault.parse("write scores.txt #2: fails")).on_disk(tmp_path):
        write(tmp_path / "scores.txt", b"alice 7\n")
        with pytest.raises(OSError, match="Input/output error"):
            write(tmp_path / "scores.txt", b"bob 8\n")
    assert (tmp_path / "scores.txt").read_bytes() == b"alice 7\n"


@pytest.mark.parametrize("sync", [os.fsync, os.fdatasync])
def test_a_sync_that_fails_says_so(tmp_path: Path, sync: object) -> None:
    name = getattr(sync, "__name__", "")
    with (
        Faults(Fault.parse("sync scores.txt #1: fails")).on_disk(tmp_path),
        (tmp_path / "scores.txt").open("w") as file,
    ):
        with pytest.raises(OSError, match="Input/output error"):
            getattr(os, name)(file.fileno())
        getattr(os, name)(file.fileno())


def test_a_failure_that_the_disk_has_caused_is_excused_and_no_other() -> None:
    disk = Faults(Fault.parse("write chat_log.txt #1: full"))
    assert disk.excuses("plugin 'chat_log' failed in on_broadcast: [Errno 28] No space left on device")
    assert not disk.excuses("plugin 'dice' failed in on_message: 'alice'")
    network = Faults(Fault.parse("send to client 1 #1: breaks"))
    assert not network.excuses("plugin 'chat_log' failed in on_broadcast: [Errno 28] No space left on device")


def test_a_faulty_connection_is_a_connection_in_memory() -> None:
    assert isinstance(Connection().server, MemoryTransport)
