"""A person's end of a connection over TCP, against a real socket."""

import socket
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trichat.testing._chat.tcp_line import SocketLine

# Real seconds after which a test gives up.
LONGEST = 10


class Connection:
    """A connection, and the server's end of it as a plain socket."""

    def __init__(self, line: SocketLine, server: trio.SocketStream) -> None:
        self.line = line
        self.server = server


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        line = await SocketLine.connect("127.0.0.1", port)
        async with await listener.accept() as server:
            with trio.fail_after(LONGEST):
                yield Connection(line, server)
            line.close()


async def test_bytes_go_both_ways(connection: Connection) -> None:
    await connection.line.send(b"hello\n")
    assert await connection.server.receive_some(100) == b"hello\n"
    await connection.server.send_all(b"welcome\n")
    assert await connection.line.receive() == b"welcome\n"


async def test_much_is_sent_as_it_is_read(connection: Connection) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.line.send, b"x" * 20_000_000)
        received = 0
        while received < 20_000_000:
            received += len(await connection.server.receive_some())
    assert received == 20_000_000


async def test_the_end_is_an_empty_answer(connection: Connection) -> None:
    await connection.server.send_all(b"goodbye\n")
    await connection.server.aclose()
    assert await connection.line.receive() == b"goodbye\n"
    assert await connection.line.receive() == b""


async def test_who_says_no_more_still_hears(connection: Connection) -> None:
    connection.line.send_eof()
    assert await connection.server.receive_some() == b""
    await connection.server.send_all(b"goodbye\n")
    assert await connection.line.receive() == b"goodbye\n"


async def test_who_hangs_up_is_at_an_end(connection: Connection) -> None:
    connection.line.close()
    assert await connection.server.receive_some() == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        await connection.line.send(b"hello?\n")


async def test_a_reset_breaks_the_connection(connection: Connection) -> None:
    connection.line.reset()
    assert connection.line.closed
    with pytest.raises(trio.BrokenResourceError):
        await connection.server.receive_some()


async def test_a_connection_that_the_server_breaks_is_an_error(connection: Connection) -> None:
    connection.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await connection.server.aclose()
    with pytest.raises(ConnectionResetError):
        await connection.line.receive()


async def test_hanging_up_twice_does_no_harm(connection: Connection) -> None:
    connection.line.close()
    connection.line.close()
    connection.line.reset()


async def test_who_waits_for_data_is_told_that_the_line_was_closed(connection: Connection) -> None:
    heard: list[bytes] = []

    async def read() -> None:
        heard.append(await connection.line.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        connection.line.close()
    assert heard == [b""]


async def test_who_stops_reading_takes_nothing_until_it_reads_on(connection: Connection) -> None:
    heard: list[bytes] = []

    async def read() -> None:
        heard.append(await connection.line.receive())

    connection.line.stop_reading()
    await connection.server.send_all(b"later\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked(0.01)
        assert heard == []
        connection.line.read_on()
    assert heard == [b"later\n"]


async def test_stopping_twice_is_stopping(connection: Connection) -> None:
    heard: list[bytes] = []

    async def read() -> None:
        heard.append(await connection.line.receive())

    await connection.server.send_all(b"later\n")
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            connection.line.stop_reading()
            nursery.start_soon(read)
            await wait_all_tasks_blocked()
            connection.line.stop_reading()
            connection.line.read_on()
    assert heard == [b"later\n"]


async def test_a_server_that_is_not_there_is_an_oserror() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="Connection refused"):
        await SocketLine.connect("127.0.0.1", port)
