"""The outbox alone: what goes at once, what waits, when it gives up."""

from collections.abc import AsyncIterator, Callable

import pytest
import trio

from trichat._errors import ConnectionLost
from trichat._outbox import Outbox
from trichat._transport import Bytes, Transport


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


class Given:
    """An outbox that may hold ten bytes, on a pipe, in a nursery."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.pipe = Pipe()
        self.nursery = nursery
        self.given_up: list[str] = []
        self.outbox = Outbox(self.pipe, nursery, limit=10, send_timeout=60, give_up=self.given_up.append)


@pytest.fixture
async def given(virtual_time: object) -> AsyncIterator[Given]:
    async with trio.open_nursery() as nursery:
        yield Given(nursery)
        nursery.cancel_scope.cancel()


async def test_what_the_socket_takes_goes_at_once_and_without_a_task(given: Given) -> None:
    given.pipe.make_room(100)
    given.outbox.put(b"hello\n")
    assert given.pipe.taken == b"hello\n"
    assert not given.nursery.child_tasks


async def test_what_did_not_go_follows_in_order_when_there_is_room(given: Given) -> None:
    given.pipe.make_room(3)
    for chunk in (b"one\n", b"two\n", b"three\n"):
        given.outbox.put(chunk)
    assert given.pipe.taken == b"one"
    for room in (1, 2, 100):
        given.pipe.make_room(room)
        await trio.testing.wait_all_tasks_blocked()
    assert given.pipe.taken == b"one\ntwo\nthree\n"
    assert not given.nursery.child_tasks
    given.outbox.put(b"four\n")
    assert given.pipe.taken.endswith(b"four\n"), "with nothing waiting, it goes at once again"


async def test_put_behind_what_waits_does_not_try_the_socket(given: Given) -> None:
    given.outbox.put(b"1")
    tried = given.pipe.calls
    given.outbox.put(b"2")
    assert given.pipe.calls == tried


async def test_what_waits_is_limited_and_past_the_limit_it_gives_up_once(given: Given) -> None:
    given.outbox.put(b"begun\n")
    given.outbox.put(b"0123456789")
    assert given.given_up == []
    given.outbox.put(b"x")
    given.outbox.put(b"y")
    assert given.given_up == ["too slow: more than 10 bytes were waiting"]


async def test_the_last_words_follow_on_a_line_of_their_own_even_when_it_gave_up(given: Given) -> None:
    given.pipe.make_room(2)
    given.outbox.put(b"begun\n")
    given.outbox.put(b"0123456789")
    given.outbox.put(b"dropped\n")
    given.outbox.close(b"too slow\n")
    given.outbox.put(b"too late\n")
    given.pipe.make_room(100)
    await given.outbox.flushed()
    assert given.pipe.taken == b"begun\ntoo slow\n"


async def test_a_client_that_takes_nothing_in_time_is_given_up(given: Given) -> None:
    given.outbox.put(b"hello\n")
    await trio.sleep(59)
    assert given.given_up == []
    await trio.sleep(2)
    assert given.given_up == ["too slow: took nothing for 60 s"]
    assert given.outbox.closed


async def test_a_client_that_takes_a_little_in_time_is_kept(given: Given) -> None:
    given.outbox.put(b"hello\n")
    for _ in range(5):
        await trio.sleep(59)
        given.pipe.make_room(1)
    await trio.sleep(1)
    assert given.pipe.taken == b"hello"
    assert given.given_up == []


@pytest.mark.parametrize("waiting", [False, True])
async def test_a_broken_connection_is_given_up_and_nothing_is_tried_any_more(given: Given, waiting: bool) -> None:
    if waiting:
        given.outbox.put(b"waits\n")
        await trio.testing.wait_all_tasks_blocked()
    given.pipe.broken = True
    given.pipe.make_room(100)
    given.outbox.put(b"hello\n")
    await trio.testing.wait_all_tasks_blocked()
    assert given.given_up == ["connection lost: Broken pipe"]
    tried = given.pipe.calls
    given.outbox.put(b"again\n")
    given.outbox.close(b"goodbye\n")
    await given.outbox.flushed()
    assert given.pipe.calls == tried


async def test_inside_exclusive_the_block_sends_and_what_is_put_follows_it(given: Given) -> None:
    given.outbox.put(b"0\n")
    given.pipe.make_room(2)
    async with given.outbox.exclusive() as send:
        given.outbox.put(b"3\n")
        given.pipe.make_room(3)
        await send(b"1\n")
        given.pipe.make_room(1)
        await send(b"2\n")
        given.outbox.put(b"4\n")
        given.pipe.make_room(100)
        assert given.pipe.taken == b"0\n1\n2\n"
    assert given.pipe.taken == b"0\n1\n2\n3\n4\n"
    assert not given.nursery.child_tasks


async def test_what_exclusive_was_cancelled_in_is_finished_before_anything_else(given: Given) -> None:
    given.pipe.make_room(4)
    with trio.move_on_after(1):
        async with given.outbox.exclusive() as send:
            await send(b"history\n")
    given.outbox.put(b"live\n")
    assert given.pipe.taken == b"hist"
    given.pipe.make_room(100)
    await given.outbox.flushed()
    assert given.pipe.taken == b"history\nlive\n"


async def test_flushed_finishes_what_a_cancelled_drain_task_left(given: Given) -> None:
    async with trio.open_nursery() as nursery:
        outbox = Outbox(given.pipe, nursery, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.put(b"hello\n")
        outbox.put(b"bye\n")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    given.pipe.make_room(100)
    await outbox.flushed()
    assert given.pipe.taken == b"hello\nbye\n"


async def test_flushed_tells_when_the_connection_breaks(given: Given) -> None:
    async with trio.open_nursery() as nursery:
        outbox = Outbox(given.pipe, nursery, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.put(b"hello\n")
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
        outbox = Outbox(given.pipe, nursery, limit=10, send_timeout=60, give_up=given.given_up.append)
        outbox.put(b"hello\n")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    given.pipe.make_room(100)
    last(outbox, b"bye\n")
    await outbox.flushed()
    assert given.pipe.taken == b"hello\nbye\n"
