"""The wall clock that follows virtual time."""

import time

import trio

from trichat.testing._probing.wall_clock import wall_clock

SECOND = 1_000_000_000


async def test_it_begins_at_the_real_time_and_advances_with_virtual_time(virtual_time: object) -> None:
    before = time.time_ns()
    began = wall_clock()
    assert before <= began <= time.time_ns()
    await trio.sleep(3600)
    assert wall_clock() == began + 3600 * SECOND


def test_outside_of_a_run_it_is_the_real_time() -> None:
    before = time.time_ns()
    assert before <= wall_clock() <= time.time_ns()
