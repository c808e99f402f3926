"""Virtual time: waiting takes no real time, and work in threads has all the time it needs."""

import threading
import time
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trichat.testing import run
from trichat.testing._chat.virtual_time import idle

HOUR = 3600.0


def test_waiting_for_an_hour_takes_no_time_and_yet_an_hour_has_passed() -> None:
    async def wait() -> float:
        before = trio.current_time()
        await trio.sleep(HOUR)
        return trio.current_time() - before

    begun = time.monotonic()
    assert run(wait) == pytest.approx(HOUR)
    assert time.monotonic() - begun < 5


def test_it_passes_arguments_in_and_the_result_or_the_error_out() -> None:
    async def divide(one: int, other: int) -> float:
        await trio.lowlevel.checkpoint()
        return one / other

    assert run(divide, 6, 3) == 2
    with pytest.raises(ZeroDivisionError):
        run(divide, 6, 0)


def test_every_run_begins_at_zero() -> None:
    async def now() -> float:
        await trio.sleep(HOUR)
        return trio.current_time()

    assert run(now) == run(now) == pytest.approx(HOUR)


def test_what_is_due_earlier_happens_earlier() -> None:
    happened: list[int] = []

    async def note(seconds: int) -> None:
        await trio.sleep(seconds)
        happened.append(seconds)

    async def all_at_once() -> None:
        async with trio.open_nursery() as nursery:
            for seconds in (30, 10, 20):
                nursery.start_soon(note, seconds)

    run(all_at_once)
    assert happened == [10, 20, 30]


def test_whoever_holds_the_clock_can_look_at_it() -> None:
    clock = MockClock(autojump_threshold=0)
    run(trio.sleep, HOUR, clock=clock)
    assert clock.current_time() == pytest.approx(HOUR)


def test_instruments_of_ones_own_are_told_of_steps() -> None:
    class Steps(trio.abc.Instrument):
        def __init__(self) -> None:
            self.tasks: set[str] = set()

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            self.tasks.add(task.name)

    steps = Steps()
    run(trio.sleep, HOUR, instruments=[steps])
    assert "trio.sleep" in steps.tasks


def test_the_clock_stands_still_while_a_thread_works() -> None:
    gone_by: list[float] = []

    async def patient(held: threading.Event) -> None:
        with trio.move_on_after(HOUR) as scope:
            await trio.to_thread.run_sync(held.wait, 5)
        assert not scope.cancelled_caught, "the clock jumped while the thread worked"
        gone_by.append(trio.current_time())

    async def work() -> None:
        held = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(patient, held)
            await wait_all_tasks_blocked(0.01)  # in real time; a clock that ignores threads would jump here
            held.set()

    run(work)
    assert gone_by == [pytest.approx(0, abs=0.001)]


def test_the_clock_jumps_again_when_the_thread_is_done() -> None:
    async def read_and_wait() -> float:
        await trio.to_thread.run_sync(lambda: None)
        await trio.sleep(HOUR)
        await trio.to_thread.run_sync(lambda: None)
        await trio.sleep(HOUR)
        return trio.current_time()

    assert run(read_and_wait) == pytest.approx(2 * HOUR)


def test_a_file_can_be_read_under_a_deadline(tmp_path: Path) -> None:
    async def read() -> str:
        with trio.fail_after(0.001):
            return await trio.Path(tmp_path / "file.txt").read_text()

    (tmp_path / "file.txt").write_text("whole")
    assert run(read) == "whole"


async def test_idle_waits_for_threads_and_what_they_set_off(virtual_time: object) -> None:
    events: list[str] = []

    async def work() -> None:
        await trio.to_thread.run_sync(time.sleep, 0.005)
        events.append("first thread")
        await trio.to_thread.run_sync(time.sleep, 0.005)
        events.append("second thread")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await idle()
        assert events == ["first thread", "second thread"]


async def test_idle_lets_no_time_pass(virtual_time: object) -> None:
    events: list[str] = []

    async def later() -> None:
        await trio.sleep(0.001)
        events.append("later")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later)
        before = trio.current_time()
        for _ in range(20):  # repeated, because the thread may end at any moment of the wait
            nursery.start_soon(trio.to_thread.run_sync, time.sleep, 0.0012)
            await idle()
            assert trio.current_time() == before
            assert not events, "idle() waited for a task that waits for time to pass"


async def test_whoever_is_idle_can_be_cancelled(virtual_time: object) -> None:
    with trio.move_on_after(1) as scope:
        scope.cancel()
        await idle()
    assert scope.cancelled_caught
