"""The parts of a scenario that can be cancelled alone, and how each responds to its cancellation."""

from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import outcome
import trio
from trio.lowlevel import Task

from trichat._base.failures import leaves
from trichat.testing._probing.livelock_guard import Abandoned

R = TypeVar("R")

# The reason of the kit's cancellation, which distinguishes it from all others.
REASON = "trichat.testing: at this checkpoint"

# The error of a hook call that was cancelled.
CANCELLED = "the test cancelled it"

# The suffix of a strike on the way to a checkpoint.
_EARLY = " early"


class Strike(NamedTuple):
    """The part to cancel, and the number of the checkpoint to cancel it at, counted from 1."""

    part: str
    step: int
    early: bool = False
    """Whether the part is cancelled on its way to the checkpoint, rather than while it waits there.

    The two behave differently. A wait that is cancelled beforehand does not even begin: it neither tries a lock nor
    looks at an event that is set.
    """

    @classmethod
    def parse(cls, text: str) -> "Strike":
        """Parse the output of `str`. Raises `ValueError`."""
        part, _, step = text.removesuffix(_EARLY).rpartition(" @ ")
        if not part or not step.isdecimal():
            raise ValueError(f"{text!r} is not a case; name a part and a checkpoint, such as 'server @ 3'")
        return cls(part, int(step), text.endswith(_EARLY))

    @classmethod
    def named(cls, text: str) -> "Iterator[Strike]":
        """Yield the strike that `text` names, if it names one."""
        with suppress(ValueError):
            yield cls.parse(text)

    def __str__(self) -> str:
        return f"{self.part} @ {self.step}{_EARLY if self.early else ''}"


class Part:
    """A stretch of one task, from the entry of a block to its exit, and the tasks that the block owns meanwhile."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.scope: trio.CancelScope = trio.CancelScope()
        self.steps = 0
        """The number of steps begun so far."""
        self.struck_at: float | None = None
        """The time of the strike, by Trio's clock."""
        self.was_cancelled: bool = False
        """Whether the strike was a cancellation."""
        self.ended_at: float | None = None
        self.task: Task | None = None
        """The task that was struck."""
        self.place = ""
        """The line of code where this task waited."""
        self.swallowed: str = ""
        """What the part did instead of raising the cancellation; empty if it let it pass."""
        self._delivered = False
        self._owner = trio.lowlevel.current_task()
        self._not_its_own = list(self._owner.child_nurseries)

    def is_owned_by(self, task: Task) -> bool:
        """Whether the part is a stretch of `task`."""
        return task is self._owner

    def owns(self, task: Task) -> bool:
        """Whether a new task belongs to the part, because its nursery was opened inside."""
        nursery = task.parent_nursery
        return nursery is not None and nursery.parent_task is self._owner and nursery not in self._not_its_own

    def cancel(self) -> None:
        """Cancel the part and all tasks that it owns."""
        self.was_cancelled = True
        self.scope.cancel(REASON)

    def watching(self, awaitable: Awaitable[R]) -> Awaitable[R]:
        """Return an awaitable that awaits `awaitable`, and notes whether it lets the cancellation pass."""
        return _Watch(awaitable, self)

    def watching_task(self, coroutine: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
        """Return a coroutine that runs a task of the part, and notes when the task raises the cancellation."""
        return _Child(coroutine, self)

    @asynccontextmanager
    async def watching_block(self, manager: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        """Enter and leave `manager`, and note whether it lets the cancellation pass, including that of the block."""
        await self.watching(manager.__aenter__())
        try:
            yield
        except BaseException as error:  # noqa: ASYNC103 - __aexit__ decides whether it is raised
            self.delivers(error)
            leaving = manager.__aexit__(type(error), error, error.__traceback__)
            # Its return value says whether the error is raised again. That it returns at all says nothing.
            if not await _Watch(leaving, self, judges=False):  # noqa: ASYNC102
                raise
            self.returned()
        else:
            await self.watching(manager.__aexit__(None, None, None))

    def delivers(self, error: BaseException) -> None:
        """Note that `error` is raised inside the part."""
        if any(isinstance(leaf, trio.Cancelled) and leaf.reason == REASON for leaf in leaves(error)):
            self._delivered = True

    def returned(self) -> None:
        """Note that the part returned without an error."""
        if self._delivered:
            self.swallowed = "it returned as if it had not been cancelled"

    def raised(self, error: BaseException) -> None:
        """Note that the part raised `error`."""
        if self._delivered and not any(isinstance(leaf, (trio.Cancelled, Abandoned)) for leaf in leaves(error)):
            self.swallowed = f"it raised {error!r} instead of trio.Cancelled"


class _Watch(Coroutine[Any, Any, R]):
    """Stands between Trio and a coroutine, and sees what Trio sends in and what the coroutine returns or raises.

    Trio sends a task the outcome of its wait, and a cancellation is such an outcome. All other attributes are those of
    the coroutine, so that one can still ask where the task waits.
    """

    def __init__(self, awaitable: Awaitable[R], part: Part, *, judges: bool = True) -> None:
        self._coroutine = awaitable if isinstance(awaitable, Coroutine) else _coroutine(awaitable)
        self._part = part
        self._judges = judges
        """Whether a return after the cancellation means that it was swallowed."""

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
    """Watches a task that a part owns. Its errors are raised inside the part, and the part is not judged by them."""

    def send(self, value: Any) -> Any:
        try:
            return self._coroutine.send(value)
        except BaseException as error:
            self._part.delivers(error)
            raise


async def _coroutine(awaitable: Awaitable[R]) -> R:
    return await awaitable


class Unwatched(Part):
    """A part of a run without a probe. It is neither cancelled nor watched."""

    def watching(self, awaitable: Awaitable[R]) -> Awaitable[R]:
        return awaitable

    @asynccontextmanager
    async def watching_block(self, manager: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        async with manager:
            yield
