"""A coroutine that begins in one task and goes on in another."""

import pytest
import trio

from trichat._head_start import hand_over, has_ended, rest_of


async def test_what_does_not_wait_has_ended() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("all of it")

    assert has_ended(work())
    assert done == ["all of it"]


async def test_what_waits_goes_on_where_its_rest_is_awaited() -> None:
    tasks: list[trio.lowlevel.Task] = []

    async def inner() -> None:
        tasks.append(trio.lowlevel.current_task())
        await hand_over()
        tasks.append(trio.lowlevel.current_task())
        await trio.lowlevel.checkpoint()

    async def work() -> None:
        await inner()
        tasks.append(trio.lowlevel.current_task())

    begun = work()
    assert not has_ended(begun)
    async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - another task is the point
        nursery.start_soon(rest_of, begun)
    beginner = trio.lowlevel.current_task()
    first, *others = tasks
    assert first is beginner
    assert len(set(others)) == 1
    assert beginner not in others


async def test_the_rest_is_cancelled_with_the_task_that_awaits_it() -> None:
    cleaned_up: list[bool] = []

    async def work() -> None:
        await hand_over()
        try:
            await trio.sleep_forever()
        finally:
            cleaned_up.append(True)

    begun = work()
    assert not has_ended(begun)
    with trio.CancelScope() as scope:
        scope.cancel()
        await rest_of(begun)
    assert scope.cancelled_caught
    assert cleaned_up == [True]


async def test_what_it_raises_is_raised_where_it_runs() -> None:
    async def failing(*, late: bool) -> None:
        if late:
            await hand_over()
        raise LookupError

    with pytest.raises(LookupError):
        has_ended(failing(late=False))
    begun = failing(late=True)
    assert not has_ended(begun)
    with pytest.raises(LookupError):
        await rest_of(begun)
