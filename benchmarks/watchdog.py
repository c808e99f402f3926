"""Measure the cost of the watchdog that names blocking plugins.

    .venv/bin/python benchmarks/watchdog.py

Its thread does the same twenty times a second, whatever the server does: it wakes, looks at the stack, and rarely finds
a plugin there. An idle loop shows the cost: the processor time of a second with the watchdog, minus that of a second
without.

It also compares a busy server with and without the watchdog: two people talk, in pairs of runs. The spread of their
ratios comes from the machine, and is mostly greater than the cost of the watchdog.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

import trio

from trichat._ops.blocking_watchdog import Watchdog
from trichat.testing import running

PAIRS = 10
LINES = 400
SECONDS = 1.0
GOAL = 0.01


def watching(*, watched: bool) -> AbstractContextManager[None]:
    """Return a context manager that runs the watchdog, if `watched` is true."""
    return Watchdog(lambda: {"plugin.py": "plugin"}).watching() if watched else nullcontext()


async def chatter(watched: bool) -> None:
    """Let two people talk, one line at a time, so that each line takes several turns of the loop."""
    with watching(watched=watched):
        async with running() as chat:
            alice, bob = await chat.join("alice"), await chat.join("bob")
            for number in range(LINES):
                await (alice, bob)[number % 2].say(f"line {number}")
                await chat.settled()


async def rest(watched: bool) -> None:
    """Do nothing for a while."""
    with watching(watched=watched):
        await trio.sleep(SECONDS)


def cost(work: Callable[[bool], Awaitable[None]], *, watched: bool) -> float:
    """Return the processor time of some work, in seconds."""
    before = time.process_time()
    trio.run(work, watched)
    return time.process_time() - before


def main() -> None:
    """Measure, and print two lines."""
    for work in (rest, chatter):
        cost(work, watched=True)  # to warm up
    shares = [(cost(rest, watched=True) - cost(rest, watched=False)) / SECONDS for _ in range(PAIRS)]
    print(f"of a processor: {statistics.median(shares):.2%} ({min(shares):.2%} to {max(shares):.2%}), goal: {GOAL:.0%}")
    ratios = [cost(chatter, watched=True) / cost(chatter, watched=False) for _ in range(PAIRS)]
    print(f"a busy server: {statistics.median(ratios):.3f} times as much ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
