"""Runs blocking functions in threads, next to the event loop."""

import math
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

Arguments = TypeVarTuple("Arguments")
R = TypeVar("R")


class WorkerThreads:
    """Runs blocking functions in at most `limit` threads at a time, so that the event loop keeps running.

    Each call may take `timeout` seconds, including the wait for a free thread; with `None`, it may take any time. The
    limit is separate from Trio's default one, which all code that names no limiter shares. A plugin that hangs in those
    40 threads therefore holds up nobody here.
    """

    def __init__(self, limit: int, timeout: float | None = None) -> None:
        self._limiter = trio.CapacityLimiter(limit)
        self._timeout = timeout

    async def run(self, function: Callable[[*Arguments], R], *args: *Arguments) -> R:
        """Call `function(*args)` in a thread. Returns what it returns, and raises what it raises.

        Raises `TimeoutError` after the timeout. Then, and when the caller is cancelled, `run` ends at once. Python
        cannot end a thread, so the function keeps running. Until it returns, it counts towards the limit; its result
        is dropped.
        """
        with trio.move_on_after(math.inf if self._timeout is None else self._timeout):
            return await trio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._limiter)
        name = getattr(function, "__qualname__", repr(function))
        raise TimeoutError(f"{name} did not return within {self._timeout:g} s")
