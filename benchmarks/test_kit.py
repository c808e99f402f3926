"""Measure how long the test kit takes, and print each time next to its goal.

Run it with `.venv/bin/python benchmarks/test_kit.py`. It only measures: the exit status is always 0.
"""

import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from trichat import Message, hookimpl
from trichat.testing import Chat, Subject, cancel_everywhere, check_plugin, run, running

STARTS = 300
PLUGIN = "seen"


class Checkpoints:
    """A plugin that waits in its hooks and has a lifespan, so that there is something to cancel."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Keep a task running."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield
            nursery.cancel_scope.cancel()

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        """Wait a moment."""
        await trio.lowlevel.checkpoint()
        return message

    @hookimpl
    async def on_disconnect(self) -> None:
        """Wait a moment."""
        await trio.lowlevel.checkpoint()


class Took(NamedTuple):
    """A duration in seconds: by the clock, and in processor time, which does not depend on how busy the machine is."""

    clock: float
    processor: float

    @classmethod
    def by_now(cls) -> "Took":
        """Return the current time of both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def until_now(self) -> "Took":
        """Return the time that has passed since then."""
        now = self.by_now()
        return Took(now.clock - self.clock, now.processor - self.processor)


async def start() -> Took:
    """Start a server with a client, and return how long that took, without the stop."""
    before = Took.by_now()
    async with running() as chat:
        await chat.join("alice")
        return before.until_now()


async def visit(chat: Chat) -> None:
    """Join, say two messages, and leave."""
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.hears("alice: hello")
    await alice.say("goodbye, all")
    await alice.hears("alice: goodbye, all")
    await alice.say("bye")
    await alice.hears("* goodbye, alice")
    await alice.hears_the_end()


def measure_starts() -> None:
    """Start many servers, one after the other."""
    started: list[Took] = []
    ended: list[Took] = []
    for _ in range(STARTS):
        before = Took.by_now()
        started.append(run(start))
        ended.append(before.until_now())
    for what, times, goal in (
        ("a server in memory and a client", started, "5 ms"),
        ("the same, its end and a run of Trio", ended, ""),
    ):
        # The fastest one has the least of other work on the machine.
        fastest = min(each.clock for each in times)
        tell(what, median(times), goal, f"median of {STARTS}, the fastest {fastest * 1000:.1f} ms")


def median(times: Sequence[Took]) -> Took:
    """Return the median for each clock."""
    return Took(statistics.median(each.clock for each in times), statistics.median(each.processor for each in times))


def measure_cancel_everywhere() -> None:
    """Cancel a visit everywhere."""
    before = Took.by_now()
    survey = cancel_everywhere(visit, plugins=[Checkpoints], targets=("client", "hook", "lifespan", "server"))
    tell("cancel_everywhere", before.until_now(), "5 s", f"{len(survey.cases)} cases")


def measure_check_plugin() -> None:
    """Run all checks on a built-in plugin."""
    before = Took.by_now()
    results = list(check_plugin(Subject(PLUGIN)))
    failed = sum(result.failure != "" for result in results)
    tell(f"trichat check-plugin {PLUGIN}", before.until_now(), "30 s", f"{len(results)} checks, {failed} failed")


def tell(what: str, took: Took, goal: str, remark: str) -> None:
    """Print a row."""
    clock, processor = (f"{t * 1000:.1f} ms" if t < 0.1 else f"{t:.1f} s" for t in took)
    aim = f"goal: {goal}" if goal else ""
    print(f"{what:<35} {clock:>8}   {aim:<10}   processor: {processor:>7}   {remark}", flush=True)


if __name__ == "__main__":
    measure_starts()
    measure_cancel_everywhere()
    measure_check_plugin()
