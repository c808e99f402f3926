"""The guard against tasks that keep running and never wait for time to pass."""

import pytest
import trio
from trio.lowlevel import checkpoint

from trichat.testing import run
from trichat.testing._probing.livelock_guard import Abandoned, LivelockGuard

LIMIT = 3000


def guarded(limit: int = LIMIT) -> tuple[LivelockGuard, list[str]]:
    endless: list[str] = []
    return LivelockGuard(endless, limit), endless


async def spin(times: int) -> None:
    for _ in range(times):
        await checkpoint()


def test_a_task_that_goes_on_for_ever_is_ended_and_named() -> None:
    guard, endless = guarded()
    with pytest.raises(Abandoned, match=r"runs forever at test_livelock_guard\.py:\d+ in spin: await checkpoint\(\)"):
        run(spin, 100 * LIMIT, instruments=[guard])
    (named,) = endless
    assert named.startswith("the task tests.testing.probing.test_livelock_guard.spin runs forever at ")


def test_so_is_one_that_ignores_its_cancellation() -> None:
    attempts = 0

    async def stubborn() -> None:
        nonlocal attempts
        while attempts < 100 * LIMIT:
            try:
                await trio.sleep(1)
            except trio.Cancelled:  # noqa: ASYNC103
                attempts += 1

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await stubborn()

    with pytest.raises(Abandoned):
        run(main, instruments=[guarded()[0]])
    assert 0 < attempts < 100 * LIMIT


def test_of_several_tasks_it_is_the_busiest() -> None:
    guard, endless = guarded()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(spin, 100 * LIMIT)

    with pytest.RaisesGroup(Abandoned):
        run(main, instruments=[guard])
    assert len(endless) == 1, "when one is ended, the others are cancelled"


def test_as_long_as_time_passes_a_task_may_go_on() -> None:
    endless: list[str] = []

    async def main() -> int:
        for _ in range(2 * LIMIT):
            await trio.sleep(0.001)
        return 1

    assert run(main, instruments=[LivelockGuard(endless, LIMIT)]) == 1
    assert endless == []


def test_as_many_steps_as_the_limit_are_nothing_special() -> None:
    guard, endless = guarded()
    run(spin, LIMIT // 2, instruments=[guard])
    assert endless == []


def test_it_watches_every_run_in_virtual_time() -> None:
    with pytest.raises(Abandoned):
        run(spin, 10**9)
