"""The parts of a scenario that can be cancelled alone, and the probe that counts their steps and cancels one of them.

A task runs from one checkpoint to the next; Trio tells an instrument of each such step, before it is taken and after.
Cancelled after its k-th step, a part waits at its k-th checkpoint; cancelled before, it is on its way there.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import outcome
import trio
from trio.lowlevel import Task

from trichat._errors import leaves
from trichat._tasks import waiting_at
from trichat.testing._endless import Abandoned

R = TypeVar("R")

# What the cancellation says of itself, to tell it from all others.
REASON = "trichat.testing: at this checkpoint"

# What a call of a hook that was cancelled has failed with.
CANCELLED = "it was cancelled by the test"

# What names a strike on the way to a checkpoint.
_EARLY = " early"


class Strike(NamedTuple):
    """Which part to cancel, and at which of its checkpoints, counted from 1."""

    part: str
    step: int
    early: bool = False
    """Whether the part is cancelled on its way to the checkpoint, rather than while it waits there.

    What is cancelled already when it comes to a wait behaves in another way than what is waiting: a lock is not even
    tried, an event that is set is not looked at.
    """

    @classmethod
    def parse(cls, text: str) -> "Strike":
        """Read what `str` has written. Raises `ValueError`."""
        part, _, step = text.removesuffix(_EARLY).rpartition(" @ ")
        if not part or not step.isdecimal():
            raise ValueError(f"{text!r} does not name a part and a checkpoint, as 'server @ 3' does")
        return cls(part, int(step), text.endswith(_EARLY))

    @classmethod
    def named(cls, text: str) -> "Iterator[Strike]":
        """Yield the strike that `str` has written, if it is one."""
        with suppress(ValueError):
            yield cls.parse(text)

    def __str__(self) -> str:
        return f"{self.part} @ {self.step}{_EARLY if self.early else ''}"


class Part:
    """A stretch of one task, from where it is entered to where it is left, and the tasks that it owns meanwhile."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.scope = trio.CancelScope()
        self.steps = 0
        """Begun so far."""
        self.struck_at: float | None = None
        """When it was struck, in Trio's time."""
        self.was_cancelled = False
        """Whether that was a cancellation."""
        self.ended_at: float | None = None
        self.task: Task | None = None
        """The task in which the cancellation struck."""
        self.place = ""
        """The line of code where that task waited."""
        self.swallowed = ""
        """What became of the cancellation, if it did not come out as such."""
        self._delivered = False
        self._owner = trio.lowlevel.current_task()
        self._not_its_own = list(self._owner.child_nurseries)

    def is_owned_by(self, task: Task) -> bool:
        """Whether it is a stretch of this task."""
        return task is self._owner

    def owns(self, task: Task) -> bool:
        """Whether a task that has just begun belongs to it, because its nursery was opened inside."""
        nursery = task.parent_nursery
        return nursery is not None and nursery.parent_task is self._owner and nursery not in self._not_its_own

    def cancel(self) -> None:
        """Cancel it, and all that belongs to it."""
        self.was_cancelled = True
        self.scope.cancel(REASON)

    def watching(self, awaitable: Awaitable[R]) -> Awaitable[R]:
        """Return what awaits `awaitable`, and notes whether it lets the cancellation through."""
        return _Watch(awaitable, self)

    @asynccontextmanager
    async def watching_block(self, manager: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        """Enter and leave `manager`, and note whether it lets the cancellation through, also that of the block."""
        await self.watching(manager.__aenter__())
        try:
            yield
        except BaseException as error:  # noqa: ASYNC103 - __aexit__ decides what becomes of it
            self.delivers(error)
            leaving = manager.__aexit__(type(error), error, error.__traceback__)
            # What it returns says whether the error goes on: that it returns says nothing.
            if not await _Watch(leaving, self, judges=False):  # noqa: ASYNC102
                raise
            self.returned()
        else:
            await self.watching(manager.__aexit__(None, None, None))

    def delivers(self, error: BaseException) -> None:
        """Note that `error` is raised inside."""
        if any(isinstance(leaf, trio.Cancelled) and leaf.reason == REASON for leaf in leaves(error)):
            self._delivered = True

    def returned(self) -> None:
        """Note that it went on as if nothing had happened."""
        if self._delivered:
            self.swallowed = "it went on as if it had not been cancelled"

    def raised(self, error: BaseException) -> None:
        """Note what came out."""
        if self._delivered and not any(isinstance(leaf, (trio.Cancelled, Abandoned)) for leaf in leaves(error)):
            self.swallowed = f"it came out as {error!r}"


class _Watch(Coroutine[Any, Any, R]):
    """Stands between Trio and a coroutine, and sees what is sent in and what comes out.

    Trio sends a task the outcome of its wait, and a cancellation is such an outcome. All other attributes are those of
    the coroutine, for whoever asks where the task waits.
    """

    def __init__(self, awaitable: Awaitable[R], part: Part, *, judges: bool = True) -> None:
        self._coroutine = awaitable if isinstance(awaitable, Coroutine) else _coroutine(awaitable)
        self._part = part
        self._judges = judges
        """Whether to return is to go on as if nothing had happened."""

    def __await__(self) -> Generator[Any, Any, R]:
        return self

    def __iter__(self) -> "_Watch[R]":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if isinstance(value, outcome.Error):
            self._part.delivers(value.error)
        try:
            return self._coroutine.send(value)
        except StopIteration:
            if self._judges:
                self._part.returned()
            raise
        except BaseException as error:
            self._part.raised(error)
            raise

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)


class _Child(_Watch[Any]):
    """Watches a task of a part: what comes out of it goes into the part, and is nothing to judge it by."""

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        except BaseException as error:
            self._part.delivers(error)
            raise


async def _coroutine(awaitable: Awaitable[R]) -> R:
    return await awaitable


class Probe(trio.abc.Instrument):
    """Knows the parts of one run, counts their steps, and strikes the part of `strike` at its checkpoint.

    To strike is to `act` on it: by default, to cancel it.
    """

    def __init__(self, strike: Strike | None = None, act: Callable[[Part], None] = Part.cancel) -> None:
        self.parts: list[Part] = []
        """All that were entered, in that order."""
        self.struck: Part | None = None
        """The one that was struck."""
        self.is_looking = True
        """Whether steps count, and parts that are entered are noted."""
        self._strike = strike
        self._act = act
        self._seen: Counter[str] = Counter()
        self._inside: dict[Task, tuple[trio.Nursery | None, list[Part]]] = {}
        """The parts that a task belongs to, as long as it is in this nursery."""
        self._waiting_for: tuple[Part, Task] | None = None
        """What to strike as soon as this task waits."""

    @contextmanager
    def entered(self, kind: str, name: str) -> Iterator[Part]:
        """Make the block a part."""
        label = f"{kind} {name}".rstrip()
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
        """The parts that a task belongs to now: `nursery.start` moves a task to another nursery."""
        nursery, parts = self._inside.get(task, (None, ()))
        if nursery is not task.parent_nursery and task.parent_nursery is not None:
            parent = task.parent_nursery.parent_task
            own = [part for part in parts if part.is_owned_by(task)]
            parts = [part for part in self._parts_of(parent) if not part.is_owned_by(parent) or part.owns(task)] + own
            self._inside[task] = (task.parent_nursery, parts)
        return [part for part in parts if part.ended_at is None]

    def _begin(self, part: Part, task: Task) -> None:
        """Count a step that begins."""
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
        # Who waits for a nursery to end is not sent a cancellation: it comes out of the children.
        nursery = task.parent_nursery
        if nursery is not None and nursery.parent_task is not None:
            for part in self._inside.get(nursery.parent_task, (None, ()))[1]:
                if part.owns(task):
                    task.coro = _Child(task.coro, part)  # type: ignore[assignment]

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
            # On its way there, the place is where it comes to wait, unless it leaves the part before.
            self.struck.place = waiting_at(task) if self.struck.ended_at is None else ""


PROBE: trio.lowlevel.RunVar[Probe | None] = trio.lowlevel.RunVar("trichat.testing.PROBE", None)


class _Unwatched(Part):
    """What a part is when nothing is probed: nothing."""

    def __init__(self) -> None:
        self.was_cancelled = False

    def watching(self, awaitable: Awaitable[R]) -> Awaitable[R]:
        return awaitable

    @asynccontextmanager
    async def watching_block(self, manager: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        async with manager:
            yield


_UNWATCHED = _Unwatched()


@contextmanager
def part_of(kind: str, name: str) -> Iterator[Part]:
    """Make the block a part of the scenario that may be cancelled alone, if there is a probe; otherwise do nothing."""
    probe = PROBE.get()
    if probe is None or not probe.is_looking:
        yield _UNWATCHED
    else:
        with probe.entered(kind, name) as part:
            yield part


@contextmanager
def part(name: str) -> Iterator[Part]:
    """Make the block a part of the scenario that `cancel_everywhere` cancels alone; elsewhere it does nothing.

    Only what is awaited through `watching` of what it yields is checked for letting the cancellation through.
    """
    with part_of("part", name) as entered:
        yield entered
