"""A run of Trio for synchronous code."""

from collections.abc import Iterator

import pytest
import trio

from trichat.testing._chat.stepped_run import SteppedRun


@pytest.fixture
def stepped() -> Iterator[SteppedRun]:
    run = SteppedRun()
    yield run
    run.close()


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail() -> None:
    await trio.lowlevel.checkpoint()
    raise LookupError("oops")


async def now() -> float:
    return trio.current_time()


async def this_task() -> trio.lowlevel.Task:
    return trio.lowlevel.current_task()


def test_a_call_returns_what_it_returns(stepped: SteppedRun) -> None:
    assert [stepped.do(double, number) for number in range(3)] == [0, 2, 4]


def test_a_call_raises_what_it_raises_and_the_run_goes_on(stepped: SteppedRun) -> None:
    with pytest.raises(LookupError, match="oops"):
        stepped.do(fail)
    assert stepped.do(double, 2) == 4


def test_no_time_passes_but_in_calls_that_wait(stepped: SteppedRun) -> None:
    before = stepped.do(now)
    assert stepped.do(now) == before
    stepped.do(trio.sleep, 3600)
    assert stepped.do(now) == before + 3600


def test_all_calls_are_made_in_one_task(stepped: SteppedRun) -> None:
    assert stepped.do(this_task) is stepped.do(this_task)


def test_tasks_of_an_earlier_call_go_on_in_a_later_one(stepped: SteppedRun) -> None:
    done: list[str] = []

    async def work() -> None:
        await trio.sleep(10)
        done.append("work")

    async def start() -> trio.Nursery:
        nursery = await manager.__aenter__()
        nursery.start_soon(work)
        return nursery

    manager = trio.open_nursery()
    stepped.do(start)
    assert done == []
    stepped.do(trio.sleep, 11)
    assert done == ["work"]
    stepped.do(manager.__aexit__, None, None, None)


def test_it_can_be_ended_more_than_once() -> None:
    run = SteppedRun()
    run.close()
    run.close()


def test_two_cannot_run_in_one_thread_as_two_runs_of_trio_cannot(stepped: SteppedRun) -> None:
    with pytest.raises(RuntimeError, match="inside a run"):
        trio.run(double, 1)
