"""Virtual time: a clock that jumps to the next deadline as soon as there is nothing left to do.

Trio's `MockClock` does the jumping. It does not know of worker threads, though: while one of them reads a file, every
task is blocked, and the clock would jump over the deadline of whoever waits for it. So it stands still meanwhile.
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
    """Do what `trio.run` does, in virtual time: a wait of an hour takes no time, and a worker thread all that it needs.

    `clock` and `guard` are there for those who keep hold of them; without a clock, a new one starts at 0.
    """
    clock = clock or MockClock(autojump_threshold=0)
    return trio.run(async_fn, *args, clock=clock, instruments=[*guarded(clock, guard), *instruments])


def guarded(clock: MockClock, guard: LivelockGuard | None = None) -> Sequence[trio.abc.Instrument]:
    """Return the instruments that a run with this clock needs."""
    return [_ThreadGuard(clock), guard or LivelockGuard()]


async def idle() -> None:
    """Wait until no task can go on and nobody waits for a worker thread, without any time passing."""
    await wait_all_tasks_blocked()
    while active_thread_count():
        await wait_all_threads_completed()
        await wait_all_tasks_blocked()


class _ThreadGuard(trio.abc.Instrument):
    """Holds the clock while somebody waits for a worker thread."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock
        self._jumps = True

    def after_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        jumps = not active_thread_count()
        if jumps is not self._jumps:
            self._jumps = jumps
            self._clock.autojump_threshold = 0 if jumps else math.inf
