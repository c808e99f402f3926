"""The probe: an instrument that counts the steps of the parts of a run, and strikes one of them.

A step is what a task does from one checkpoint to the next. Trio tells an instrument before and after each step. After
its k-th step, a part waits at its k-th checkpoint; cancelled before this step, it is cancelled on its way there.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from trio.lowlevel import Task

from trichat._base.task_tree import waiting_at
from trichat.testing._probing.cancel_targets import Part, Strike, Unwatched


class Probe(trio.abc.Instrument):
    """Knows the parts of one run, counts their steps, and strikes the part of `strike` at its checkpoint.

    To strike a part is to call `act` with it; by default, that cancels it.
    """

    def __init__(self, strike: Strike | None = None, act: Callable[[Part], None] = Part.cancel) -> None:
        self.parts: list[Part] = []
        """All parts that were entered, in order."""
        self.struck: Part | None = None
        """The part that was struck, once it was."""
        self.is_looking = True
        """Whether steps are counted, and entered parts are noted."""
        self._strike = strike
        self._act = act
        self._seen: Counter[str] = Counter()
        self._inside: dict[Task, tuple[trio.Nursery | None, list[Part]]] = {}
        """The parts that a task belongs to, as long as it is in the given nursery."""
        self._waiting_for: tuple[Part, Task] | None = None
        """The part to strike as soon as the given task waits."""

    @contextmanager
    def entered(self, kind: str, name: str) -> Iterator[Part]:
        """Make the block a part of the run."""
        label = _label(kind, name)
        self._seen[label] += 1
        part = Part(label if self._seen[label] == 1 else f"{label} #{self._seen[label]}")
        self.parts.append(part)
        task = trio.lowlevel.current_task()
        around = self._parts_of(task)
        self._inside[task] = (task.parent_nursery, [*around, part])
        try:
            with part.scope:
                self._begin(part, task)
                yield part
        finally:
            part.ended_at = self._time()
            self._inside[task] = (task.parent_nursery, around)

    @staticmethod
    def _time() -> float:
        try:
            return trio.current_time()
        except RuntimeError:
            return 0.0  # the run was given up

    def _parts_of(self, task: Task) -> list[Part]:
        """Return the parts that a task belongs to now. `nursery.start` moves a task to another nursery."""
        nursery, parts = self._inside.get(task, (None, ()))
        if nursery is not task.parent_nursery and task.parent_nursery is not None:
            parent = task.parent_nursery.parent_task
            own = [part for part in parts if part.is_owned_by(task)]
            parts = [part for part in self._parts_of(parent) if not part.is_owned_by(parent) or part.owns(task)] + own
            self._inside[task] = (task.parent_nursery, parts)
        return [part for part in parts if part.ended_at is None]

    def _begin(self, part: Part, task: Task) -> None:
        """Count a step of the part that begins in `task`."""
        if not self.is_looking:
            return
        part.steps += 1
        if self._strike is not None and (part.label, part.steps) == self._strike[:2]:
            if self._strike.early:
                self._hit(part, task)
            else:
                self._waiting_for = (part, task)

    def _hit(self, part: Part, task: Task) -> None:
        self.struck = part
        part.struck_at = trio.current_time()
        part.task = task
        part.place = waiting_at(task)
        self._act(part)

    def task_spawned(self, task: Task) -> None:
        # Trio sends no cancellation to a task that waits for its nursery. The children raise it.
        nursery = task.parent_nursery
        if nursery is not None and nursery.parent_task is not None:
            for part in self._inside.get(nursery.parent_task, (None, ()))[1]:
                if part.owns(task):
                    task.coro = part.watching_task(task.coro)  # type: ignore[assignment]

    def task_exited(self, task: Task) -> None:
        self._inside.pop(task, None)

    def before_task_step(self, task: Task) -> None:
        for part in self._parts_of(task):
            self._begin(part, task)

    def after_task_step(self, task: Task) -> None:
        if self._waiting_for is not None and task is self._waiting_for[1]:
            part, self._waiting_for = self._waiting_for[0], None
            if part.ended_at is None:
                self._hit(part, task)
        elif self.struck is not None and not self.struck.place and task is self.struck.task:
            # It was struck on its way to a checkpoint. Its place is where it now waits, unless it has left the part.
            self.struck.place = waiting_at(task) if self.struck.ended_at is None else ""


PROBE: trio.lowlevel.RunVar[Probe | None] = trio.lowlevel.RunVar("trichat.testing.PROBE", None)


def _label(kind: str, name: str) -> str:
    return f"{kind} {name}".rstrip()


@contextmanager
def part_of(kind: str, name: str) -> Iterator[Part]:
    """Make the block a part of the scenario that can be cancelled alone. Does nothing if there is no probe."""
    probe = PROBE.get()
    if probe is None or not probe.is_looking:
        yield Unwatched(_label(kind, name))
    else:
        with probe.entered(kind, name) as part:
            yield part


@contextmanager
def part(name: str) -> Iterator[Part]:
    """Make the block a part of the scenario that `cancel_everywhere` cancels alone. Does nothing outside it.

    Yields the `Part`. Whatever you await through its `watching` is also checked for letting the cancellation pass.
    """
    with part_of("part", name) as entered:
        yield entered
