"""Leftovers: each kind is named, and nothing else is."""

import os
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import trio

from trichat.testing import run
from trichat.testing._exploring.leftovers import all_tasks, described, leftovers_noted


def test_nothing_is_left_by_who_cleans_up(tmp_path: Path) -> None:
    left: list[str] = []
    with leftovers_noted(left):
        with (tmp_path / "open.txt").open("w") as file:
            file.write("hello")
        thread = threading.Thread(target=time.time)
        thread.start()
        thread.join()
    assert left == []


def test_a_file_that_is_left_open_is_named(tmp_path: Path) -> None:
    left: list[str] = []
    with leftovers_noted(left):
        opened = os.open(tmp_path / "open.txt", os.O_CREAT | os.O_WRONLY)
    os.close(opened)
    assert left == [f"the file {tmp_path / 'open.txt'} is still open"]


def test_a_file_that_only_the_garbage_collector_closes_is_not_left(tmp_path: Path) -> None:
    class Holder:
        def __init__(self) -> None:
            self.itself = self
            self.fd = os.open(tmp_path / "open.txt", os.O_CREAT | os.O_WRONLY)

        def __del__(self) -> None:
            os.close(self.fd)

    left: list[str] = []
    with leftovers_noted(left):
        Holder()
    assert left == []


def test_a_thread_that_is_left_is_named() -> None:
    ended = threading.Event()
    left: list[str] = []
    with leftovers_noted(left):
        thread = threading.Thread(target=ended.wait, name="counter")
        thread.start()
    ended.set()
    thread.join()
    assert left == ["the thread counter is still running"]


def test_the_threads_that_trio_keeps_are_its_own() -> None:
    left: list[str] = []
    with leftovers_noted(left):
        trio.run(trio.to_thread.run_sync, time.time)
    assert left == []


def test_a_thread_that_trio_has_abandoned_may_end_its_work() -> None:
    begun, going_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        going_on.wait(5)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(trio.to_thread.run_sync, work, abandon_on_cancel=True))
                await trio.to_thread.run_sync(begun.wait)
                scope.cancel()

    left: list[str] = []
    with leftovers_noted(left):
        trio.run(main)
        threading.Timer(0.05, going_on.set).start()
    assert left == []


async def say() -> None:
    """A coroutine function, for a coroutine that nobody awaits."""


def test_a_coroutine_that_nobody_awaited_is_named_with_its_line() -> None:
    left: list[str] = []
    with leftovers_noted(left):
        say()  # type: ignore[unused-coroutine]
    (named,) = left
    assert named.startswith("the coroutine 'say' was never awaited (test_leftovers.py:")


def test_other_warnings_are_still_warnings() -> None:
    left: list[str] = []
    with pytest.warns(UserWarning, match="mind the gap"), leftovers_noted(left):
        warnings.warn("mind the gap", UserWarning, stacklevel=1)
    assert left == []


def test_a_task_is_described_by_its_name_and_the_line_where_it_waits() -> None:
    async def main() -> list[str]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever, name="sleeper")
            await trio.testing.wait_all_tasks_blocked()
            found = [described(task) for task in all_tasks() if task.name == "sleeper"]
            nursery.cancel_scope.cancel()
        return found

    (sleeper,) = run(main)
    assert sleeper.startswith("the task sleeper at ")


def test_outside_of_trio_there_are_no_tasks() -> None:
    with pytest.raises(RuntimeError):
        list(all_tasks())
