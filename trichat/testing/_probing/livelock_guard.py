"""Ends tasks that keep running and never wait for time to pass. Virtual time stands still then: the test would hang."""

import ctypes
from collections import Counter

import trio
from trio.lowlevel import Task

from trichat._base.failures import Interruption
from trichat._base.task_tree import waiting_at

# If all tasks take this many steps while no time passes, it is a livelock. Tests with many clients stay below it.
LIVELOCK_STEPS = 100_000

# The guard looks once in this many steps.
_WINDOW = 1_000


class Abandoned(Interruption):
    """Raised in a task that runs forever, however often it is cancelled, so that the test can end."""


class LivelockGuard(trio.abc.Instrument):
    """Ends the busiest tasks, one after the other, when too many steps are taken while no time passes."""

    def __init__(self, endless: list[str] | None = None, limit: int = LIVELOCK_STEPS) -> None:
        """`endless` gets a sentence for each task that was ended. `limit` is the number of steps that are allowed."""
        self._endless = [] if endless is None else endless
        self._limit = limit
        self._steps = 0
        self._still_since = 0
        """The number of steps that had been taken when time last passed."""
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
            what = f"the task {busiest.name} runs forever at {waiting_at(busiest)}"
            self._endless.append(what)
            _abandon(busiest, what)
        self._busy.clear()


class _AbandonedCoroutine:
    """Replaces a coroutine that cannot be ended in any other way."""

    cr_frame = cr_await = None
    cr_running = cr_suspended = False

    def __init__(self, what: str) -> None:
        self._what = what

    def send(self, _: object) -> None:
        raise Abandoned(self._what)


def _abandon(task: Task, what: str) -> None:
    """Let a task take no further step. Its run is over anyway."""
    # Python closes a coroutine that nothing refers to any more. This one may ignore that too, and Python then complains
    # on standard error. A list would keep it only until Python exits and clears all modules, so leak one reference.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.coro))
    task.coro = _AbandonedCoroutine(what)  # type: ignore[assignment]
