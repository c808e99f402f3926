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
from contextlib import nullcontext

import trio

from trichat._ops.blocking_watchdog import Watchdog
from trichat.testing import running

PAIRS = 10
LINES = 400
SECONDS = 1.0
GOAL = 0.01


async def chatter(watchdog: Watchdog | None) -> None:
    """Two people talk, one line at a time, so that each takes several turns of the loop."""
    with nullcontext() if watchdog is None else watchdog.watching():
        async with running() as chat:
            alice, bob = await chat.join("alice"), await chat.join("bob")
            for number in range(LINES):
                await (alice, bob)[number % 2].say(f"line {number}")
                await chat.settled()


async def rest(watchdog: Watchdog | None) -> None:
    """Do nothing for a while."""
    with nullcontext() if watchdog is None else watchdog.watching():
        await trio.sleep(SECONDS)


def cost(work: Callable[[Watchdog | None], Awaitable[None]], *, watched: bool) -> float:
    """Return the seconds of processor time that some work takes."""
    before = time.process_time()
    trio.run(work, Watchdog(lambda: {"plugin.py": "plugin"}) if watched else None)
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
