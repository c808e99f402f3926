"""What the watchdog costs that names blocking plugins.

    .venv/bin/python benchmarks/watchdog.py

Its thread does the same twenty times a second, whatever the server does: it wakes, looks at the stack, and seldom finds
a plugin there. What that costs is seen in a loop that does nothing: the processor time of a second with it, less that
of one without.

A busy server with and without it, side by side, is shown besides: two people talk, and pairs of runs are compared. The
spread of their ratios is that of the machine, and mostly greater than what is looked for.
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
    """Return what looks on in its block, if it is to be `watched`."""
    return Watchdog(lambda: {"plugin.py": "plugin"}).watching() if watched else nullcontext()


async def chatter(watched: bool) -> None:
    """Two people talk, one line at a time, so that each takes several turns of the loop."""
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
    """Return the seconds of processor time that some work takes."""
    before = time.process_time()
    trio.run(work, watched)
    return time.process_time() - before


def main() -> None:
    """Measure, and print two lines."""
    for work in (rest, chatter):
        cost(work, watched=True)  # warms up
    shares = [(cost(rest, watched=True) - cost(rest, watched=False)) / SECONDS for _ in range(PAIRS)]
    print(f"of a processor: {statistics.median(shares):.2%} ({min(shares):.2%} to {max(shares):.2%}), goal: {GOAL:.0%}")
    ratios = [cost(chatter, watched=True) / cost(chatter, watched=False) for _ in range(PAIRS)]
    print(f"a busy server: {statistics.median(ratios):.3f} times as much ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
