"""A run of Trio for synchronous code, which makes one call at a time."""

import queue
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import outcome
import trio
from trio.testing import MockClock

from trichat.testing._chat.virtual_time import guarded

R = TypeVar("R")

_Call = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...], list[outcome.Outcome[Any]]]


class SteppedRun:
    """Trio as the guest of a loop that runs only during a call. No time passes between calls.

    All calls are made in one task, so one call can enter a context manager and a later one can leave it.
    """

    def __init__(self, instruments: Sequence[trio.abc.Instrument] = ()) -> None:
        self._turns: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._send, self._receive = trio.open_memory_channel[_Call](1)
        self._ended: list[outcome.Outcome[None]] = []
        clock = MockClock(autojump_threshold=0)
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._turns.put,
            done_callback=self._ended.append,
            clock=clock,
            instruments=[*guarded(clock), *instruments],
        )

    async def _main(self) -> None:
        async for call, arguments, done in self._receive:
            done.append(await outcome.acapture(call, *arguments))

    def do(self, call: Callable[..., Awaitable[R]], *arguments: Any) -> R:
        """Make a call, and return its result or raise its error."""
        done: list[outcome.Outcome[R]] = []
        self._turns.put(lambda: self._send.send_nowait((call, arguments, done)))
        while not done and not self._ended:
            self._turns.get()()
        if not done:
            self._ended[0].unwrap()
        return done[0].unwrap()

    def close(self) -> None:
        """End the run. Safe to repeat."""
        if not self._ended:
            self._turns.put(self._send.close)
            while not self._ended:
                self._turns.get()()
            self._ended[0].unwrap()
