"""The outbox alone: what goes at once, what waits, when it gives up."""

from collections.abc import AsyncIterator, Callable

import pytest
import trio
from trio.testing import memory_stream_one_way_pair

from trichat._base.errors import ConnectionLost
from trichat._net.outbox import Outbox, put_to_all
from trichat._net.transport import Bytes, StreamTransport, Transport


class Pipe(Transport):
    """A transport of which the test decides how much it takes."""

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.taken = b""
        self.calls = 0
        self._room = 0
        self._room_made = trio.Event()
        self.broken = False

    def make_room(self, room: int) -> None:
        self._room += room
        self._room_made.set()
        self._room_made = trio.Event()

    def send_nowait(self, data: Bytes) -> int:
        self.calls += 1
        if self.broken:
            raise ConnectionLost("connection lost: Broken pipe")
        sent = min(len(data), self._room)
        self._room -= sent
        self.taken += bytes(data[:sent])
        return sent

    async def send_some(self, data: Bytes) -> int:
        while not self._room and not self.broken:
            await self._room_made.wait()
        return self.send_nowait(data)

    async def receive(self) -> bytes:
        raise NotImplementedError

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Socket(Pipe):
    """The same with a way of its own for a fan-out, which fails like a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.direct = self.send
        self.direct_calls = 0

    def send(self, data: Bytes) -> int:
        self.direct_calls += 1
        if self.broken:
            self.calls += 1
            raise BrokenPipeError(32, "Broken pipe")
        sent = self.send_nowait(data)
        if not sent:
            raise BlockingIOError
        return sent


def put_to_one(outbox: Outbox, data: bytes) -> None:
    put_to_all([outbox], data)


class Given:
    """An outbox that may hold ten bytes, on a pipe, in a nursery."""

    def __init__(self, nursery: trio.Nursery, pipe: Pipe, put: Callable[[Outbox, bytes], None]) -> None:
        self.pipe = pipe
        self._put = put
        self.nursery = nursery
        self.given_up: list[str] = []
        self.outbox = Outbox(self.pipe, limit=10, send_timeout=60, give_up=self.given_up.append)
        self.outbox.drain_in(nursery)

    def put(self, data: bytes, outbox: Outbox | None = None) -> None:
        self._put(outbox or self.outbox, data)


@pytest.fixture(params=["one by one", "in a fan-out", "in a fan-out to sockets"])
async def given(virtual_time: object, request: pytest.FixtureRequest) -> AsyncIterator[Given]:
    """However something is put, the same is to come of it."""
    async with trio.open_nursery() as nursery:
        put = Outbox.put if request.param == "one by one" else put_to_one
        yield Given(nursery, Socket() if request.param.endswith("sockets") else Pipe(), put)
        nursery.cancel_scope.cancel()


async def test_what_the_socket_takes_goes_at_once_and_without_a_task(given: Given) -> None:
    given.pipe.make_room(100)
    given.put(b"hello\n")
    assert given.pipe.taken == b"hello\n"
    assert not given.nursery.child_tasks


async def test_what_did_not_go_follows_in_order_when_there_is_room(given: Given) -> None:
    given.pipe.make_room(3)
    for chunk in (b"one\n", b"two\n", b"three\n"):
        given.put(chunk)
    assert given.pipe.taken == b"one"
    for room in (1, 2, 100):
        given.pipe.make_room(room)
        await trio.testing.wait_all_tasks_blocked()
    assert given.pipe.taken == b"one\ntwo\nthree\n"
    assert not given.nursery.child_tasks
    given.put(b"four\n")
    assert given.pipe.taken.endswith(b"four\n"), "with nothing waiting, it goes at once again"


async def test_put_behind_what_waits_does_not_try_the_socket(given: Given) -> None:
    given.put(b"1")
    tried = given.pipe.calls
    given.put(b"2")
    assert given.pipe.calls == tried


async def test_what_waits_is_limited_and_past_the_limit_it_gives_up_once(given: Given) -> None:
    given.put(b"begun\n")
    given.put(b"0123456789")
    assert given.given_up == []
    given.put(b"x")
    given.put(b"y")
    assert given.given_up == ["too slow: more than 10 bytes were waiting"]


async def test_the_last_words_follow_on_a_line_of_their_own_even_when_it_gave_up(given: Given) -> None:
    given.pipe.make_room(2)
    given.put(b"begun\n")
    given.put(b"0123456789")
    given.put(b"dropped\n")
    given.outbox.close(b"too slow\n")
    given.put(b"too late\n")
    given.pipe.make_room(100)
    await given.outbox.flushed()
    assert given.pipe.taken == b"begun\ntoo slow\n"


async def test_a_client_that_takes_nothing_in_time_is_given_up(given: Given) -> None:
    given.put(b"hello\n")
    await trio.sleep(59)
    assert given.given_up == []
    await trio.sleep(2)
    assert given.given_up == ["too slow: took nothing for 60 s"]
    assert given.outbox.closed


async def test_a_client_that_takes_a_little_in_time_is_kept(given: Given) -> None:
    given.put(b"hello\n")
    for _ in range(5):
        await trio.sleep(59)
        given.pipe.make_room(1)
    await trio.sleep(1)
    assert given.pipe.taken == b"hello"
    assert given.given_up == []


class Modem(trio.abc.SendStream):
    """Takes a kilobyte a second, and says so when it has taken all."""

    def __init__(self) -> None:
        self.taken = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.sleep(len(data) / 1024)
        self.taken += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


async def test_a_client_behind_a_slow_stream_is_kept_however_much_waits_for_it(virtual_time: object) -> None:
    modem, given_up = Modem(), list[str]()
    transport = StreamTransport(trio.StapledStream(modem, memory_stream_one_way_pair()[1]), "127.0.0.1")
    async with trio.open_nursery() as nursery:
        outbox = Outbox(transport, limit=1_000_000, send_timeout=60, give_up=given_up.append)
        outbox.drain_in(nursery)
        outbox.put(b"x" * 200_000)
        await outbox.flushed()
    assert (modem.taken, given_up) == (200_000, [])


@pytest.mark.parametrize("waiting", [False, True])
async def test_a_broken_connection_is_given_up_and_nothing_is_tried_any_more(given: Given, waiting: bool) -> None:
    if waiting:
        given.put(b"waits\n")
        await trio.testing.wait_all_tasks_blocked()
    given.pipe.broken = True
    given.pipe.make_room(100)
    given.put(b"hello\n")
    await trio.testing.wait_all_tasks_blocked()
    assert given.given_up == ["connection lost: Broken pipe"]
    tried = given.pipe.calls
    given.put(b"again\n")
    given.outbox.close(b"goodbye\n")
    await given.outbox.flushed()
    assert given.pipe.calls == tried


async def test_inside_exclusive_the_block_sends_and_what_is_put_follows_it(given: Given) -> None:
    given.put(b"0\n")
    given.pipe.make_room(2)
    async with given.outbox.exclusive() as send:
        given.put(b"3\n")
        given.pipe.make_room(3)
        await send(b"1\n")
        given.pipe.make_room(1)
        await send(b"2\n")
        given.put(b"4\n")
        given.pipe.make_room(100)
        assert given.pipe.taken == b"0\n1\n2\n"
    assert given.pipe.taken == b"0\n1\n2\n3\n4\n"
    assert not given.nursery.child_tasks


async def test_what_waits_can_be_put_ahead_of_what_the_block_sends_next(given: Given) -> None:
    async with given.outbox.exclusive() as send:
        given.pipe.make_room(2)
        await send(b"1\n")
        given.put(b"2\n")
        given.put(b"3\n")
        given.outbox.put_ahead()
        given.put(b"5\n")
        given.pipe.make_room(100)
        await send(b"4\n")
        assert given.pipe.taken == b"1\n2\n3\n4\n"
    assert given.pipe.taken == b"1\n2\n3\n4\n5\n"


async def test_nothing_is_put_into_the_middle_of_a_chunk(given: Given) -> None:
    given.pipe.make_room(4)
    with trio.move_on_after(1):
        async with given.outbox.exclusive() as send:
            await send(b"history\n")
    given.put(b"live\n")
    given.outbox.put_ahead()
    given.pipe.make_room(100)
    await given.outbox.flushed()
    assert given.pipe.taken == b"history\nlive\n"


async def test_what_exclusive_was_cancelled_in_is_finished_before_anything_else(given: Given) -> None:
    given.pipe.make_room(4)
    with trio.move_on_after(1):
        async with given.outbox.exclusive() as send:
            await send(b"history\n")
    given.put(b"live\n")
    assert given.pipe.taken == b"hist"
    given.pipe.make_room(100)
    await given.outbox.flushed()
    assert given.pipe.taken == b"history\nlive\n"


async def test_flushed_finishes_what_a_cancelled_drain_task_left(given: Given) -> None:
    async with trio.open_nursery() as nursery:
        outbox = Outbox(given.pipe, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.drain_in(nursery)
        given.put(b"hello\n", outbox)
        given.put(b"bye\n", outbox)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    given.pipe.make_room(100)
    await outbox.flushed()
    assert given.pipe.taken == b"hello\nbye\n"


async def test_flushed_tells_when_the_connection_breaks(given: Given) -> None:
    async with trio.open_nursery() as nursery:
        outbox = Outbox(given.pipe, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.drain_in(nursery)
        given.put(b"hello\n", outbox)
        nursery.cancel_scope.cancel()
    given.pipe.broken = True
    with pytest.raises(ConnectionLost):
        await outbox.flushed()


@pytest.mark.parametrize("last", [Outbox.put, Outbox.close])
async def test_what_follows_a_cancelled_drain_task_does_not_overtake_what_it_left(
    given: Given, last: Callable[[Outbox, bytes], None]
) -> None:
    given.pipe.make_room(3)
    async with trio.open_nursery() as nursery:
        outbox = Outbox(given.pipe, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.drain_in(nursery)
        given.put(b"hello\n", outbox)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    given.pipe.make_room(100)
    last(outbox, b"bye\n")
    await outbox.flushed()
    assert given.pipe.taken == b"hello\nbye\n"


async def test_a_fan_out_asks_the_socket_itself_as_long_as_nothing_waits(virtual_time: object) -> None:
    async with trio.open_nursery() as nursery:
        socket = Socket()
        given = Given(nursery, socket, put_to_one)
        socket.make_room(12)
        for _ in range(3):
            given.put(b"12345\n")
        assert socket.direct_calls == 3, "the third one finds that it is full"
        given.put(b"waits\n")
        assert socket.direct_calls == 3
        socket.make_room(100)
        await given.outbox.flushed()
        given.put(b"at once\n")
        assert socket.direct_calls == 4
        async with given.outbox.exclusive():
            given.put(b"follows\n")
            assert socket.direct_calls == 4
        given.put(b"at once\n")
        assert socket.direct_calls == 5
        given.outbox.close(b"goodbye\n")
        given.put(b"too late\n")
        assert socket.direct_calls == 5
        assert socket.taken == b"12345\n" * 3 + b"waits\nat once\nfollows\nat once\ngoodbye\n"


async def test_a_fan_out_reaches_the_others_whatever_becomes_of_one(virtual_time: object) -> None:
    async with trio.open_nursery() as nursery:
        broken, full, well = (Given(nursery, Socket(), put_to_one) for _ in range(3))
        broken.pipe.broken = True
        well.pipe.make_room(100)
        put_to_all([broken.outbox, full.outbox, well.outbox], b"hello\n")
        assert broken.given_up == ["connection lost: Broken pipe"]
        assert full.pipe.taken == b""
        assert well.pipe.taken == b"hello\n"
        full.pipe.make_room(100)
        await full.outbox.flushed()
        assert full.pipe.taken == b"hello\n"


async def test_without_a_nursery_only_what_goes_at_once_is_sent_and_the_rest_follows_in_one() -> None:
    pipe = Pipe()
    pipe.make_room(3)
    outbox = Outbox(pipe, limit=10, send_timeout=60, give_up=lambda _: None)
    outbox.put(b"hello")
    outbox.put(b"!")
    assert pipe.taken == b"hel"
    async with trio.open_nursery() as nursery:
        outbox.drain_in(nursery)
        pipe.make_room(10)
        await outbox.flushed()
    assert pipe.taken == b"hello!"
