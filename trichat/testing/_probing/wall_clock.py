"""A wall clock that follows virtual time."""

import time

import trio

_AHEAD = trio.lowlevel.RunVar[int]("trichat.testing.wall_clock")
"""Nanoseconds that the wall clock is ahead of Trio's. The same for all servers of a run."""


def wall_clock() -> int:
    """Return the nanoseconds since 1970 (UTC): the real time when this was first called, and Trio's time since then.

    Outside of a run, it is the real time.
    """
    if not trio.lowlevel.in_trio_run():
        return time.time_ns()
    now = round(trio.current_time() * 1_000_000_000)
    try:
        return _AHEAD.get() + now
    except LookupError:
        _AHEAD.set(time.time_ns() - now)
        return _AHEAD.get() + now
