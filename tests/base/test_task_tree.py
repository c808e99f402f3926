"""The tree of tasks: who owns each, and where it waits."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.lowlevel import Task
from trio.testing import wait_all_tasks_blocked

from trichat._base.task_tree import task_lines, task_tree, tasks_below, waiting_at

Work = Callable[[], Awaitable[None]]


async def rest() -> None:
    await trio.sleep_forever()


async def keep_house() -> None:
    async with trio.open_nursery() as upstairs, trio.open_nursery() as downstairs:
        upstairs.start_soon(rest, name="maid")
        downstairs.start_soon(rest, name="cook")
        downstairs.start_soon(rest, name="butler")


async def own_a_house() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_house, name="housekeeper")
        nursery.start_soon(rest, name="gardener")


@asynccontextmanager
async def a_task(work: Work, name: str = "somebody") -> AsyncIterator[Task]:
    """A task that does `work`, and has come as far as it can."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, name=name)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        yield task
        nursery.cancel_scope.cancel()


def line(function: Callable[..., object], code: str) -> str:
    """How a place is written: the line of `function` that reads `code`."""
    lines, first = inspect.getsourcelines(function)
    number = first + [line.strip() for line in lines].index(code)
    return f"test_task_tree.py:{number} in {function.__qualname__}: {code}"


RESTING = line(rest, "await trio.sleep_forever()")


# The tree.


async def test_the_tree_has_each_task_under_its_owner_with_where_it_waits() -> None:
    async with a_task(own_a_house, "lady") as lady:
        in_the_house = "async with trio.open_nursery() as upstairs, trio.open_nursery() as downstairs:"
        assert task_tree(lady).splitlines() == [
            f"lady  at {line(own_a_house, 'async with trio.open_nursery() as nursery:')}",
            f"    gardener  at {RESTING}",
            f"    housekeeper  at {line(keep_house, in_the_house)}",
            "        nursery",
            f"            maid  at {RESTING}",
            "        nursery",
            f"            butler  at {RESTING}",
            f"            cook  at {RESTING}",
        ]


async def test_those_of_one_nursery_are_in_the_order_of_their_names() -> None:
    async def own_many() -> None:
        async with trio.open_nursery() as nursery:
            for name in ("carol", "alice", "dave", "bob"):
                nursery.start_soon(rest, name=name)

    async with a_task(own_many) as task:
        assert [line.split()[0] for line in task_tree(task).splitlines()[1:]] == ["alice", "bob", "carol", "dave"]


async def test_the_tree_is_that_of_all_tasks_unless_one_is_named() -> None:
    async with a_task(rest, "somebody") as task:
        root, *others = task_tree().splitlines()
        assert root.startswith("<init>  at ")
        assert f"somebody  at {RESTING}" in [line.strip() for line in others]
        assert task_tree(task) == f"somebody  at {RESTING}"


async def test_who_asks_is_in_the_tree_without_a_place() -> None:
    asking = trio.lowlevel.current_task()
    assert asking.name in [line.strip() for line in task_tree().splitlines()]


async def test_tasks_that_end_while_the_tree_is_being_taken_are_left_out() -> None:
    async def own_one_that_leaves() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rest, name="first")
            nursery.start_soon(leaving.wait, name="second")
            nursery.start_soon(rest, name="third")

    leaving = trio.Event()
    async with a_task(own_one_that_leaves, "owner") as owner:
        lines = task_lines(owner)
        seen = [next(lines), next(lines)]
        leaving.set()
        await wait_all_tasks_blocked()
        assert [line.split()[0] for line in [*seen, *lines]] == ["owner", "first", "third"]


async def test_below_a_task_are_all_that_it_owns_and_itself_first() -> None:
    async with a_task(own_a_house, "lady") as lady:
        first, *others = tasks_below(lady)
        assert first is lady
        assert sorted(task.name for task in others) == ["butler", "cook", "gardener", "housekeeper", "maid"]


async def test_below_a_task_are_none_that_have_ended() -> None:
    async def own_one_that_ends() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rest, name="idle")
            nursery.start_soon(trio.lowlevel.checkpoint, name="brief")

    async with a_task(own_one_that_ends, "owner") as owner:
        assert [task.name for task in tasks_below(owner)] == ["owner", "idle"]


# Where a task waits.


class Kettle:
    """What waits in a method, and in a context manager."""

    async def boil(self) -> None:
        await trio.sleep(600)

    @asynccontextmanager
    async def on_the_stove(self) -> AsyncIterator[None]:
        await trio.sleep(600)
        yield


async def boil() -> None:
    await Kettle().boil()


async def cook() -> None:
    async with Kettle().on_the_stove():
        pass


@pytest.mark.parametrize(("work", "function"), [(boil, Kettle.boil), (cook, Kettle.on_the_stove)])
async def test_a_task_waits_at_the_innermost_line_that_is_not_trios(
    work: Work, function: Callable[..., object]
) -> None:
    async with a_task(work) as task:
        assert waiting_at(task) == line(inspect.unwrap(function), "await trio.sleep(600)")


async def test_a_task_that_is_trios_own_waits_at_the_innermost_line_there_is() -> None:
    async with a_task(trio.sleep_forever) as task:
        assert waiting_at(task).startswith("_timeouts.py:")
        assert " in sleep_forever: await " in waiting_at(task)


async def test_a_task_that_has_not_begun_is_at_the_first_line_of_its_function() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rest)
        (task,) = nursery.child_tasks
        assert waiting_at(task) == line(rest, "async def rest() -> None:")
        nursery.cancel_scope.cancel()


async def test_a_task_that_is_running_waits_nowhere() -> None:
    assert waiting_at(trio.lowlevel.current_task()) == ""
