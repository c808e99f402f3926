"""A connection in memory: how much fits, who waits, and how it ends and breaks."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trichat._base.errors import ConnectionLost
from trichat._net.transport import RECEIVE_BYTES
from trichat.testing._chat.memory_transport import KERNEL_BUFFER, MemoryLine, MemoryTransport, Pipe


class Waiter:
    """A task that waits for room in a pipe, or for data."""

    def __init__(self) -> None:
        self.result: bytes | None = None
        self.error: BaseException | None = None
        self.scope = trio.CancelScope()

    @property
    def done(self) -> bool:
        return self.result is not None or self.error is not None

    async def read(self, pipe: Pipe, most: int = 100) -> None:
        try:
            with self.scope:
                self.result = await pipe.read(most)
        except OSError as error:
            self.error = error

    async def room(self, pipe: Pipe) -> None:
        with self.scope:
            await pipe.room()
            self.result = b"room"


async def test_what_is_written_can_be_read_in_pieces_and_in_order() -> None:
    pipe = Pipe()
    assert pipe.write(b"hello, ") == 7
    assert pipe.write(memoryview(b"world")) == 5
    assert len(pipe) == 12
    assert await pipe.read(5) == b"hello"
    assert await pipe.read(100) == b", world"
    assert len(pipe) == 0


async def test_it_takes_what_fits_and_says_how_much_that_was() -> None:
    pipe = Pipe(capacity=5)
    assert pipe.write(b"hello, world") == 5
    assert not pipe.has_room
    assert pipe.write(b", world") == 0
    assert await pipe.read(2) == b"he"
    assert pipe.write(b", world") == 2
    assert await pipe.read(100) == b"llo, "


async def test_a_capacity_that_was_lowered_takes_nothing_until_enough_was_read() -> None:
    pipe = Pipe()
    pipe.write(b"0123456789")
    pipe.capacity = 4
    assert pipe.write(b"more") == 0
    await pipe.read(7)
    assert pipe.write(b"more") == 1


async def test_a_reader_waits_for_data() -> None:
    pipe, reader = Pipe(), Waiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read, pipe)
        await wait_all_tasks_blocked()
        assert not reader.done
        pipe.write(b"at last")
    assert reader.result == b"at last"


async def test_whoever_waits_for_room_goes_on_when_some_was_read() -> None:
    pipe, writer = Pipe(capacity=3), Waiter()
    async with trio.open_nursery() as nursery:
        pipe.write(b"abc")
        nursery.start_soon(writer.room, pipe)
        await wait_all_tasks_blocked()
        assert not writer.done
        await pipe.read(1)
    assert writer.done
    assert pipe.write(b"de") == 1


async def test_the_end_comes_behind_what_is_on_its_way_and_stays() -> None:
    pipe = Pipe()
    pipe.write(b"last words")
    pipe.end()
    assert await pipe.read(4) == b"last"
    assert await pipe.read(100) == b" words"
    assert await pipe.read(100) == b""
    assert await pipe.read(100) == b""


async def test_a_reader_that_waits_is_told_of_the_end() -> None:
    pipe, reader = Pipe(), Waiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read, pipe)
        await wait_all_tasks_blocked()
        pipe.end()
    assert reader.result == b""


async def test_behind_the_end_nothing_can_be_written() -> None:
    pipe = Pipe()
    pipe.end()
    with pytest.raises(BrokenPipeError, match="Broken pipe"):
        pipe.write(b"more")


async def test_a_pipe_that_is_cut_loses_what_was_on_its_way() -> None:
    pipe = Pipe()
    pipe.write(b"lost")
    pipe.cut()
    with pytest.raises(ConnectionResetError, match="Connection reset by peer"):
        await pipe.read(100)
    with pytest.raises(BrokenPipeError):
        pipe.write(b"more")


async def test_everybody_who_waits_at_a_pipe_is_told_that_it_was_cut() -> None:
    empty, full = Pipe(), Pipe(capacity=1)
    full.write(b"x")
    reader, writer = Waiter(), Waiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read, empty)
        nursery.start_soon(writer.room, full)
        await wait_all_tasks_blocked()
        assert not reader.done
        assert not writer.done
        empty.cut()
        full.cut()
    assert isinstance(reader.error, ConnectionResetError)
    assert writer.done, "after a break, a write must not wait for room; it fails"


async def test_whoever_waits_for_room_is_told_of_the_end() -> None:
    pipe, writer = Pipe(capacity=1), Waiter()
    pipe.write(b"x")
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.room, pipe)
            await wait_all_tasks_blocked()
            pipe.end()
    assert writer.done


async def test_what_arrives_is_told_when_it_is_written_and_the_end_once() -> None:
    arrived: list[bytes] = []
    pipe = Pipe(capacity=3, arrived=arrived.append)
    pipe.write(b"hello")
    assert arrived == [b"hel"]
    pipe.end()
    pipe.end()
    assert arrived == [b"hel", b""]


async def test_a_pipe_that_was_cut_has_no_end_to_tell() -> None:
    arrived: list[bytes] = []
    pipe = Pipe(arrived=arrived.append)
    pipe.cut()
    pipe.end()
    assert arrived == []


async def test_a_read_that_is_cancelled_takes_nothing() -> None:
    pipe = Pipe()
    pipe.write(b"still here")
    with trio.CancelScope() as scope:
        scope.cancel()
        await pipe.read(100)
    assert scope.cancelled_caught
    assert await pipe.read(100) == b"still here"


async def test_a_reader_that_is_cancelled_while_it_waits_leaves_the_data_to_the_next() -> None:
    pipe, reader = Pipe(), Waiter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.read, pipe)
        await wait_all_tasks_blocked()
        reader.scope.cancel()
        pipe.write(b"for the next")
        await wait_all_tasks_blocked()
    # The reader got the data, or was cancelled and left it. Either way, each byte is read once.
    assert (reader.result or b"") + pipe.read_nowait(100) == b"for the next"


@pytest.mark.parametrize("call", ["read", "room"])
async def test_reading_and_waiting_for_room_are_checkpoints_even_when_there_is_no_need_to_wait(call: str) -> None:
    pipe = Pipe()
    pipe.write(b"data")
    with trio.testing.assert_checkpoints():
        await (pipe.read(1) if call == "read" else pipe.room())


class Connection:
    """Both ends of a connection."""

    def __init__(self, capacity: float = KERNEL_BUFFER) -> None:
        self.to_server, self.from_server = Pipe(capacity), Pipe()
        self.server = MemoryTransport(self.to_server, self.from_server, "127.0.0.1")
        self.person = MemoryLine(self.from_server, self.to_server)


@pytest.fixture
def connection() -> Connection:
    return Connection()


async def test_both_ends_of_a_connection_hear_each_other(connection: Connection) -> None:
    await connection.person.send(b"hello\n")
    assert await connection.server.receive() == b"hello\n"
    assert connection.server.send_nowait(b"welcome\n") == 8
    assert await connection.person.receive() == b"welcome\n"


async def test_an_address_is_noted_as_of_a_socket() -> None:
    assert MemoryTransport(Pipe(), Pipe(), "::ffff:10.0.0.7").address == "10.0.0.7"


async def test_more_than_the_kernel_takes_is_sent_as_it_is_read() -> None:
    connection = Connection(capacity=4)
    sent = trio.Event()

    async def send() -> None:
        await connection.person.send(b"0123456789")
        sent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert not sent.is_set()
        received = b""
        while len(received) < 10:
            received += await connection.server.receive()
    assert received == b"0123456789"
    assert sent.is_set()


async def test_the_server_receives_no_more_at_once_than_from_a_socket(connection: Connection) -> None:
    await connection.person.send(b"x" * 2 * RECEIVE_BYTES)
    assert len(await connection.server.receive()) == RECEIVE_BYTES


async def test_the_server_is_given_what_is_there_without_waiting(connection: Connection) -> None:
    assert connection.server.receive_nowait() is None
    await connection.person.send(b"hello\n")
    assert connection.server.receive_nowait() == b"hello\n"
    connection.person.send_eof()
    assert connection.server.receive_nowait() == b""
    connection.person.reset()
    with pytest.raises(ConnectionLost, match="connection lost: Connection reset by peer"):
        connection.server.receive_nowait()


async def test_who_hangs_up_is_at_an_end_for_the_server_and_cannot_be_told_any_more(connection: Connection) -> None:
    await connection.person.send(b"bye\n")
    connection.person.close()
    assert await connection.server.receive() == b"bye\n"
    assert await connection.server.receive() == b""
    with pytest.raises(ConnectionLost, match="connection lost: Broken pipe"):
        connection.server.send_nowait(b"goodbye\n")


async def test_who_says_no_more_still_hears(connection: Connection) -> None:
    connection.person.send_eof()
    assert await connection.server.receive() == b""
    connection.server.send_nowait(b"goodbye\n")
    assert await connection.person.receive() == b"goodbye\n"


async def test_a_server_that_says_no_more_still_hears(connection: Connection) -> None:
    await connection.server.send_eof()
    assert await connection.person.receive() == b""
    await connection.person.send(b"one more\n")
    assert await connection.server.receive() == b"one more\n"


async def test_a_reset_loses_what_was_on_its_way_in_both_directions(connection: Connection) -> None:
    await connection.person.send(b"lost\n")
    connection.server.send_nowait(b"lost, too\n")
    connection.person.reset()
    with pytest.raises(ConnectionLost, match="connection lost: Connection reset by peer"):
        await connection.server.receive()
    with pytest.raises(ConnectionLost, match="connection lost: Broken pipe"):
        connection.server.send_nowait(b"more\n")
    with pytest.raises(ConnectionLost, match="connection lost: Broken pipe"):
        await connection.server.send_some(b"more\n")


async def test_when_the_server_closes_its_last_words_arrive_and_then_the_end(connection: Connection) -> None:
    connection.server.send_nowait(b"goodbye\n")
    await connection.server.close()
    await connection.server.close()
    assert connection.server.closed
    assert await connection.person.receive() == b"goodbye\n"
    assert await connection.person.receive() == b""
    with pytest.raises(BrokenPipeError):
        await connection.person.send(b"hello?\n")


async def test_the_server_can_close_even_under_cancellation(connection: Connection) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await connection.server.close()
    assert connection.server.closed
    assert await connection.person.receive() == b""


async def test_who_stops_reading_takes_what_a_kernel_keeps_and_no_more(connection: Connection) -> None:
    connection.person.stop_reading(buffer=10)
    assert connection.server.send_nowait(b"0123456789abc") == 10
    assert connection.server.send_nowait(b"abc") == 0
    waited: list[int] = []

    async def send() -> None:
        waited.append(await connection.server.send_some(b"abc"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert waited == []
        connection.person.read_on()
    assert waited == [3]
    assert await connection.person.receive() == b"0123456789abc"


async def test_reading_on_does_no_harm_when_there_is_nothing_left_to_read(connection: Connection) -> None:
    connection.person.stop_reading()
    connection.person.reset()
    connection.person.read_on()
    with pytest.raises(ConnectionResetError):
        await connection.person.receive()
