"""Virtual time: a clock that jumps to the next deadline as soon as there is nothing left to do.

Trio's `MockClock` does the jumping, but it knows nothing of worker threads. While a thread reads a file, all tasks are
blocked, and the clock would jump past the deadline of the task that waits for it. So this module holds the clock.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio
from trio.testing import MockClock, active_thread_count, wait_all_tasks_blocked, wait_all_threads_completed

from trichat.testing._probing.livelock_guard import LivelockGuard

R = TypeVar("R")


def run(
    async_fn: Callable[..., Awaitable[R]],
    *args: Any,
    clock: MockClock | None = None,
    guard: LivelockGuard | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> R:
    """Do what `trio.run` does, in virtual time. Waiting for an hour takes no time; a worker thread has all it needs.

    Pass a `clock` to move it yourself, or a `guard` to ask it afterwards. Without a clock, a new one starts at 0.
    """
    clock = clock or MockClock(autojump_threshold=0)
    return trio.run(async_fn, *args, clock=clock, instruments=[*guarded(clock, guard), *instruments])


def guarded(clock: MockClock, guard: LivelockGuard | None = None) -> Sequence[trio.abc.Instrument]:
    """Return the instruments that a run in virtual time needs."""
    return [_ThreadGuard(clock), guard or LivelockGuard()]


async def idle() -> None:
    """Wait until every task is blocked and no worker thread is running. No virtual time passes."""
    await wait_all_tasks_blocked()
    while active_thread_count():
        await wait_all_threads_completed()
        await wait_all_tasks_blocked()


class _ThreadGuard(trio.abc.Instrument):
    """Holds the clock while a worker thread is running."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        self._jumps = True

    def after_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        jumps = not active_thread_count()
        if jumps is not self._jumps:
            self._jumps = jumps
            self._clock.autojump_threshold = 0 if jumps else math.inf
