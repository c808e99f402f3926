"""Ends tasks that go on and on without ever waiting: no virtual time passes beside them, and the test would hang."""

import ctypes
from collections import Counter

import trio
from trio.lowlevel import Task

from trichat._base.failures import Interruption
from trichat._base.task_tree import waiting_at

# Steps of all tasks while no time passes, until it counts as going on for ever: more than in a test of big numbers.
ENDLESS = 100_000

# Steps that are looked at together.
_WINDOW = 1_000


class Abandoned(Interruption):
    """Raised in a task that goes on for ever, however often it is cancelled, so that the test can end."""


class EndlessGuard(trio.abc.Instrument):
    """Ends the busiest tasks, one after the other, when far too much happens while no time passes."""

    def __init__(self, endless: list[str] | None = None, limit: int = ENDLESS) -> None:
        """What it has ended goes to `endless`; `limit` is the number of steps from which on it does."""
        self._endless = [] if endless is None else endless
        self._limit = limit
        self._steps = 0
        self._still_since = 0
        """How many steps had been taken when time last passed."""
        self._time = -1.0
        self._busy: Counter[Task] = Counter()

    def before_task_step(self, task: Task) -> None:
        self._steps += 1
        if self._steps - self._still_since > self._limit:
            self._busy[task] += 1
        if self._steps % _WINDOW == 0:
            self._look()

    def _look(self) -> None:
        now = trio.current_time()
        if now != self._time:
            self._time = now
            self._still_since = self._steps
        elif self._busy.total() == _WINDOW:
            ((busiest, _),) = self._busy.most_common(1)
            what = f"the task {busiest.name} goes on for ever at {waiting_at(busiest)}"
            self._endless.append(what)
            _abandon(busiest, what)
        self._busy.clear()


class _Dead:
    """What stands in for a coroutine that does not end by any other means."""

    cr_frame = cr_await = None
    cr_running = cr_suspended = False

    def __init__(self, what: str) -> None:
        self._what = what

    def send(self, _: object) -> None:
        raise Abandoned(self._what)


def _abandon(task: Task, what: str) -> None:
    """Let a task take no further step: its run is over anyway."""
    # Python closes a coroutine when nobody holds it any more, and this one may ignore that as well, with a complaint on
    # standard error. A list would hold it only until Python ends and clears all modules: one reference too many holds.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.coro))
    task.coro = _Dead(what)  # type: ignore[assignment]
