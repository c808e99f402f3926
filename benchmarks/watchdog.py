"""What the watchdog costs that names blocking plugins: a busy server with and without it, side by side.

    .venv/bin/python benchmarks/watchdog.py

The server does what it does at its busiest: it takes lines from people in memory, and passes them on. Both ways are
measured again and again in turn, by the processor time of the process; what counts is the median of the ratios.
"""

import statistics
import time
from contextlib import nullcontext

import trio

from trichat._watchdog import Watchdog
from trichat.testing import running

PAIRS = 15
LINES = 400
GOAL = 1.01


async def chatter(watchdog: Watchdog | None) -> None:
    """Two people talk, one line at a time, so that each takes several turns of the loop."""
    with nullcontext() if watchdog is None else watchdog.watching():
        async with running() as chat:
            alice, bob = await chat.join("alice"), await chat.join("bob")
            for number in range(LINES):
                await (alice, bob)[number % 2].say(f"line {number}")
                await chat.settled()


def cost(watchdog: Watchdog | None = None) -> float:
    """Return the seconds of processor time that it takes."""
    before = time.process_time()
    trio.run(chatter, watchdog)
    return time.process_time() - before


def main() -> None:
    """Measure, and print a line."""
    cost()  # warms up
    ratios = [cost(Watchdog({__file__: "benchmark"})) / cost() for _ in range(PAIRS)]
    print(
        f"with the watchdog {statistics.median(ratios):.3f} times as much, goal: {GOAL}; all: {min(ratios):.3f} to ",
        end="",
    )
    print(f"{max(ratios):.3f}, {PAIRS} pairs of {LINES} lines")


if __name__ == "__main__":
    main()
