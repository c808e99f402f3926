"""The parts of a scenario that can be cancelled alone, and what each makes of its cancellation."""

from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import outcome
import trio
from trio.lowlevel import Task

from trichat._base.failures import leaves
from trichat.testing._probing.livelock_guard import Abandoned

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
        self.scope: trio.CancelScope = trio.CancelScope()
        self.steps = 0
        """Begun so far."""
        self.struck_at: float | None = None
        """When it was struck, in Trio's time."""
        self.was_cancelled: bool = False
        """Whether that was a cancellation."""
        self.ended_at: float | None = None
        self.task: Task | None = None
        """The task in which the cancellation struck."""
        self.place = ""
        """The line of code where that task waited."""
        self.swallowed: str = ""
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

    def watching_task(self, coroutine: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
        """Return what does the work of a task that it owns, and notes when the cancellation comes out of that."""
        return _Child(coroutine, self)

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


class _Child(_Watch[R]):
    """Watches a task of a part: what comes out of it goes into the part, and is nothing to judge it by."""

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        except BaseException as error:
            self._part.delivers(error)
            raise


async def _coroutine(awaitable: Awaitable[R]) -> R:
    return await awaitable


class Unwatched(Part):
    """A part of a run without a probe: nothing cancels it, and nothing needs to watch it."""

    def watching(self, awaitable: Awaitable[R]) -> Awaitable[R]:
        return awaitable

    @asynccontextmanager
    async def watching_block(self, manager: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        async with manager:
            yield
