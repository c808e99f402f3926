"""A step that blocks the loop is found while it blocks, with its task and its place."""

import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio

from trichat._base import loop_observer
from trichat._base.loop_observer import LONGEST
from trichat.testing._conformance.block_finder import Block, BlockFinder

# Seconds after which a step gives up waiting to be found. A test that passes never waits this long.
PATIENCE = 20.0


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a short step count as long, for tests that only need it to be found."""
    monkeypatch.setattr(loop_observer, "LONGEST", 0.02)
    # After thousands of tests in one process, a garbage collection takes as long as that, in any step.
    gc.disable()
    yield
    gc.enable()


def watched(async_fn: Callable[[BlockFinder], Awaitable[object]], file: str = __file__) -> list[Block]:
    finder = BlockFinder(file)
    with finder.watching():
        trio.run(async_fn, finder, instruments=[finder])
    return finder.blocks


def block_for(seconds: float) -> None:
    time.sleep(seconds)


def block(finder: BlockFinder, count: int = 1) -> None:
    """Block until `count` blocks were found."""
    deadline = time.monotonic() + PATIENCE
    while len(finder.blocks) < count and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.usefixtures("_soon")
def test_a_step_that_takes_too_long_is_found_with_its_task_and_its_line() -> None:
    async def sleepy(finder: BlockFinder) -> None:
        block(finder)

    async def main(finder: BlockFinder) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleepy, finder, name="the sleepy one")
            nursery.start_soon(trio.lowlevel.checkpoint)

    (found,) = watched(main)
    assert found.task == "the sleepy one"
    assert found.place.startswith("test_block_finder.py:")
    assert " in block: " in found.place


@pytest.mark.usefixtures("_soon")
def test_the_innermost_line_of_a_file_is_told_even_if_it_calls_others() -> None:
    def wait_for(thread: threading.Thread) -> None:
        thread.join()

    async def main(finder: BlockFinder) -> None:
        helper = threading.Thread(target=block, args=[finder])
        helper.start()
        wait_for(helper)

    (found,) = watched(main)
    assert found.place.endswith("wait_for: thread.join()")


@pytest.mark.usefixtures("_soon")
def test_code_that_computes_is_found_too() -> None:
    async def main(finder: BlockFinder) -> None:
        deadline = time.monotonic() + PATIENCE
        number = 0
        while not finder.blocks and time.monotonic() < deadline:
            number += 1

    assert len(watched(main)) == 1


@pytest.mark.usefixtures("_soon")
def test_who_was_not_at_work_is_not_blamed() -> None:
    async def main(finder: BlockFinder) -> None:
        block_for(0.2)

    assert watched(main, file=trio.lowlevel.__file__) == []


@pytest.mark.usefixtures("_soon")
def test_one_step_is_found_once_however_long_it_takes() -> None:
    async def main(finder: BlockFinder) -> None:
        block(finder)
        block_for(0.2)

    assert len(watched(main)) == 1


@pytest.mark.usefixtures("_soon")
def test_each_step_is_found() -> None:
    async def main(finder: BlockFinder) -> None:
        block(finder)
        await trio.lowlevel.checkpoint()
        block(finder, 2)

    assert len(watched(main)) == 2


def test_many_short_steps_are_no_long_one() -> None:
    async def main(finder: BlockFinder) -> None:
        for _ in range(20):
            block_for(LONGEST / 10)
            await trio.lowlevel.checkpoint()

    assert watched(main) == []


def test_waiting_blocks_nobody() -> None:
    async def main(finder: BlockFinder) -> None:
        await trio.sleep(2 * LONGEST)

    assert watched(main) == []


def test_a_worker_thread_blocks_nobody() -> None:
    async def main(finder: BlockFinder) -> None:
        await trio.to_thread.run_sync(time.sleep, 2 * LONGEST)

    assert watched(main) == []


def test_what_is_done_outside_of_a_task_is_not_looked_at() -> None:
    finder = BlockFinder(__file__)
    with finder.watching():
        block_for(2 * LONGEST)
    assert finder.blocks == []


def test_nothing_is_found_where_nobody_watches() -> None:
    async def main() -> None:
        block_for(2 * LONGEST)

    finder = BlockFinder(__file__)
    trio.run(main, instruments=[finder])
    assert finder.blocks == []
