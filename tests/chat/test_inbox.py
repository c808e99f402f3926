"""The inbox alone: the items that are put in, and the batch that it gathers."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
from client_kit import new_connection
from trio.testing import wait_all_tasks_blocked

from trichat import Message
from trichat._chat.batch import Batch, Departure
from trichat._chat.client import Connection
from trichat._chat.inbox import CAPACITY, Inbox

HELLO = Message("hello", "alice")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def bob() -> Connection:
    return new_connection(name="bob")


def departure(name: str) -> Departure:
    return Departure(new_connection(name=name).presence, ("lobby",), "quit")


def contents(batch: Batch) -> list[str]:
    """Return what is in a batch, in the order in which it is told."""
    return [
        *(message.text for message, _ in batch.said),
        *(f"{left.presence.name} left" for left in batch.left),
        *(f"{join.connection.name} joined" for join in batch.joins),
    ]


async def test_all_that_is_there_is_one_batch(inbox: Inbox, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.join, bob())
        nursery.start_soon(inbox.flush)
        await wait_all_tasks_blocked()
        inbox.publish_nowait(HELLO)
        inbox.tell_left(departure("carol"))
        await inbox.publish(HELLO)

        assert await inbox.wait()
        batch = inbox.gather()
        assert contents(batch) == [
            "hello",
            "hello",
            "carol left",
            "bob joined",
        ]
        assert len(batch.waiting) == 1
        assert contents(inbox.gather()) == []
        nursery.cancel_scope.cancel()


async def test_whoever_waits_is_woken_with_nothing_to_gather(inbox: Inbox) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.wait)
        await wait_all_tasks_blocked()
        inbox.wake()
    assert contents(inbox.gather()) == []


async def test_it_is_idle_while_it_is_waited_for_and_nothing_is_there(inbox: Inbox) -> None:
    assert not inbox.idle
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.wait)
        await wait_all_tasks_blocked()
        assert inbox.idle
        nursery.cancel_scope.cancel()
    assert not inbox.idle


PUTTING: Sequence[Callable[[Inbox], None]] = [
    Inbox.wake,
    Inbox.close,
    lambda inbox: inbox.publish_nowait(HELLO),
    lambda inbox: inbox.flush().send(None),  # run up to its first wait
]


@pytest.mark.parametrize("put", PUTTING)
async def test_it_is_not_idle_from_the_moment_that_something_is_put(inbox: Inbox, put: Callable[[Inbox], None]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.wait)
        await wait_all_tasks_blocked()
        put(inbox)
        assert not inbox.idle


async def test_it_is_not_idle_while_somebody_takes_what_was_there(inbox: Inbox) -> None:
    inbox.publish_nowait(HELLO)
    waiting = inbox.wait()
    waiting.send(None)  # run up to the channel, which has a checkpoint before it returns an item
    assert not inbox.idle
    waiting.close()


async def test_it_is_not_idle_while_it_keeps_who_left(inbox: Inbox) -> None:
    async with trio.open_nursery() as nursery:
        inbox.tell_left(departure("bob"))
        await inbox.wait()
        batch = inbox.gather()
        inbox.tell_left(departure("carol"))
        await inbox.wait()
        inbox.keep(batch.left)
        nursery.start_soon(inbox.wait)
        await wait_all_tasks_blocked()

        assert not inbox.idle
        inbox.wake()
    assert contents(inbox.gather()) == ["bob left", "carol left"]


async def test_who_finds_it_full_waits_and_is_gathered_behind_the_others(inbox: Inbox) -> None:
    for _ in range(CAPACITY):
        inbox.publish_nowait(HELLO)
    with pytest.raises(trio.WouldBlock):
        inbox.publish_nowait(HELLO)
    late = [Message(str(number), "alice") for number in range(3)]
    async with trio.open_nursery() as nursery:
        for message in late:
            nursery.start_soon(inbox.publish, message)
            await wait_all_tasks_blocked()
        assert [message for message, _ in inbox.gather().said] == [*[HELLO] * CAPACITY, *late]
    assert contents(inbox.gather()) == []


async def test_whoever_waits_for_room_is_heard_in_turn(inbox: Inbox) -> None:
    async def flood(name: str) -> None:
        while True:
            await inbox.publish(Message("more", name))

    async with trio.open_nursery() as nursery:
        for name in ("alice", "bob", "carol"):
            nursery.start_soon(flood, name)
            await wait_all_tasks_blocked()
        inbox.gather()
        for _ in range(20):
            await wait_all_tasks_blocked()
            assert {message.sender for message, _ in inbox.gather().said} == {"alice", "bob", "carol"}
        nursery.cancel_scope.cancel()


async def test_what_finds_the_channel_full_of_others_is_not_lost(inbox: Inbox) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(CAPACITY):
            nursery.start_soon(inbox.flush)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            inbox.publish_nowait(HELLO)
        nursery.start_soon(inbox.publish, HELLO)
        inbox.tell_left(departure("bob"))
        await wait_all_tasks_blocked()

        assert await inbox.wait()
        batch = inbox.gather()
        assert contents(batch) == ["hello", "bob left"]
        assert len(batch.waiting) == CAPACITY
        inbox.publish_nowait(HELLO)
        assert inbox.gather().said == [(HELLO, None)]
        nursery.cancel_scope.cancel()


async def test_departures_take_no_room(inbox: Inbox) -> None:
    for _ in range(2 * CAPACITY):
        inbox.tell_left(departure("bob"))
    for _ in range(CAPACITY):
        inbox.publish_nowait(HELLO)
    assert len(contents(inbox.gather())) == 3 * CAPACITY


async def test_who_waits_for_room_when_it_is_closed_finds_it_closed(inbox: Inbox) -> None:
    for _ in range(CAPACITY):
        inbox.publish_nowait(HELLO)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await inbox.publish(HELLO)

        await wait_all_tasks_blocked()
        inbox.close()
    assert len(contents(inbox.gather())) == CAPACITY


async def test_the_task_that_delivers_cannot_wait_for_room(inbox: Inbox) -> None:
    inbox.deliverer = trio.lowlevel.current_task()
    for _ in range(CAPACITY):
        await inbox.publish(HELLO)
    with pytest.raises(RuntimeError, match=r"^this would wait forever"):
        await inbox.publish(HELLO)


@pytest.mark.parametrize("wait", [Inbox.flush, lambda inbox: inbox.join(bob())], ids=["flush", "join"])
async def test_the_task_that_delivers_cannot_wait_for_a_batch_nor_can_its_children(
    inbox: Inbox, wait: Callable[[Inbox], Awaitable[object]]
) -> None:
    inbox.deliverer = trio.lowlevel.current_task()
    with pytest.raises(RuntimeError, match=r"^this would wait forever"):
        await wait(inbox)
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match=r"^this would wait forever")):
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - it is about a task of its own
            nursery.start_soon(wait, inbox)
    assert contents(inbox.gather()) == []


async def test_a_task_that_the_one_that_delivers_does_not_wait_for_may_wait(inbox: Inbox) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            inbox.deliverer = trio.lowlevel.current_task()
            nursery.start_soon(inbox.flush)  # as a plugin's background task would

        await wait_all_tasks_blocked()
        inbox.gather().settle()


async def test_what_was_put_before_it_was_closed_can_be_gathered(inbox: Inbox) -> None:
    inbox.publish_nowait(HELLO)
    inbox.close()
    inbox.tell_left(departure("bob"))
    with pytest.raises(trio.ClosedResourceError):
        inbox.publish_nowait(HELLO)

    assert await inbox.wait()
    assert contents(inbox.gather()) == ["hello", "bob left"]
    assert not await inbox.wait()


async def test_closed_it_does_not_wait_for_who_left(inbox: Inbox) -> None:
    inbox.close()
    inbox.tell_left(departure("bob"))
    assert not await inbox.wait()
    assert contents(inbox.gather()) == ["bob left"]
