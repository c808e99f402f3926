"""The deadlines of plugin calls, and which calls are under way.

A cancel scope and a timer for each call would cost more than everything else in it. Calls that a task makes one after
the other (`Calls`) therefore share a scope, and each call only notes when it is due. One watcher for all tasks cancels
calls that are past their deadline. That uses the scope up, and it is replaced.

A call that keeps running after that, because it is shielded or swallows the cancellation, cannot be ended. It is named
in the log.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import trio

from trichat._base.task_tree import waiting_at
from trichat._config.plugin_policy import CLEANUP
from trichat._plugins.registry import Registered

logger = logging.getLogger("trichat.plugins")

R = TypeVar("R")


class Overran(TimeoutError):
    """A call did not end before its deadline."""

    def __init__(self, timeout: float) -> None:
        super().__init__(f"it took longer than hook_timeout ({timeout:g} s)")


class Calls:
    """The calls of the task that enters it, one at a time. `Deadlines.calls` makes it.

    The first call that waits enters the scope, because nearly no client has one. No other scope may be opened between
    this block and its calls.
    """

    __slots__ = ("_deadlines", "_is_cancelled", "_now", "_scope", "_task", "due", "what", "whose")

    def __init__(self, deadlines: "Deadlines") -> None:
        self._deadlines = deadlines
        self._task: trio.lowlevel.Task | None = None
        self._scope: trio.CancelScope | None = None
        self._is_cancelled = False
        """Whether the scope is cancelled: asking the scope itself would make it look at the time."""
        self._now: Callable[[], float] = trio.current_time
        self.whose: Registered | None = None
        """The plugin that is called now, or was called last."""
        self.what = ""
        """The hook, or the command."""
        self.due = math.inf
        """When something has to be done about the call, in Trio's time."""

    def __enter__(self) -> "Calls":
        self._task = trio.lowlevel.current_task()
        self._now = trio.lowlevel.current_clock().current_time  # without the search for the clock
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._leave_scope(error)

    def note_begun(self, whose: Registered, what: str) -> None:
        """Count a call that another task has begun as under way, until `wait_for` continues it."""
        self.whose, self.what, self.due = whose, what, math.inf
        self._deadlines.begin(self)

    async def wait_for(self, answer: Awaitable[R], whose: Registered, what: str, *, takes_late: bool = False) -> R:
        """Await what a plugin answers. Raises `Overran` if it was cancelled after the plugin's timeout.

        A plugin may return an answer although it was cancelled. That answer cannot be trusted, so this raises `Overran`
        too. With `takes_late` it is logged and the answer is returned: what was only told is done all the same, and a
        batch that is in the log is sent.
        """
        if self._scope is None:
            self._scope = trio.CancelScope()
            self._scope.__enter__()
        self.whose = whose
        self.what = what
        self.restart_clock()
        self._deadlines.begin(self)
        try:
            result = await answer
        except BaseException as error:
            self._deadlines.end(self)
            # Only the scope's own cancellation stays inside it.
            if self._is_cancelled and self._leave_scope(error):
                raise Overran(whose.timeout) from None  # noqa: ASYNC104
            raise
        self._deadlines.end(self)
        if self._is_cancelled:
            self._leave_scope(None)
            late = Overran(whose.timeout)
            if not takes_late:
                raise late
            logger.warning("plugin %r in %s: %s", whose.name, what, late)
        return result

    def is_in(self, task: trio.lowlevel.Task) -> bool:
        """Whether `task` is in one of these calls."""
        return self._task is task

    def is_counting(self, task: trio.lowlevel.Task) -> bool:
        """Whether `task` is in one of these calls, and the call still has a deadline."""
        return self._task is task and not self._is_cancelled and self.due < math.inf

    def stop_clock(self) -> None:
        """Let the call take any time, until `restart_clock`."""
        self.due = math.inf

    def restart_clock(self) -> None:
        """Restart the time of the call."""
        assert self.whose is not None
        self.due = self._now() + self.whose.timeout

    def pass_deadline(self) -> None:
        """Cancel the call. If it was cancelled already and has had its time for cleanup, name it in the log."""
        assert self._scope is not None
        if not self._is_cancelled:
            self._is_cancelled = True
            self.due += CLEANUP
            self._scope.cancel("the plugin has taken too long")
        else:
            self.due = math.inf
            place = (waiting_at(self._task) if self._task is not None else "") or "an unknown place"
            logger.error(
                "plugin %r in %s keeps running although it was cancelled more than %g s ago, at %s",
                self.whose.name if self.whose else "",
                self.what,
                CLEANUP,
                place,
            )

    def _leave_scope(self, error: BaseException | None) -> bool:
        """Leave the scope with what was raised in it, and return whether that ends here. The next call opens one."""
        scope, self._scope = self._scope, None
        self._is_cancelled = False
        if scope is None:
            return False
        return scope.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)


class Deadlines:
    """The calls under way. No deadline is kept unless `watch` is running."""

    def __init__(self) -> None:
        self._under_way: set[Calls] = set()
        self._rests = True
        """Whether the watcher waits for a call to begin."""
        self._begun = trio.Event()
        self._ended: trio.Event | None = None
        """There while somebody waits for a call to end."""
        self._shortest = math.inf
        self._sleep = trio.CancelScope()
        """The watcher sleeps in it."""

    def allow(self, timeout: float) -> None:
        """Allow calls to have this timeout, in seconds. No call may have a shorter one than the shortest allowed."""
        if timeout < self._shortest:
            self._shortest = timeout
            self._sleep.cancel("a call may be due sooner")

    def calls(self) -> Calls:
        """Return what a task calls plugins with, in a `with` block."""
        return Calls(self)

    def begin(self, calls: Calls) -> None:
        """Note that a call begins."""
        self._under_way.add(calls)
        if self._rests:
            self._rests = False
            self._begun.set()

    def end(self, calls: Calls) -> None:
        """Note that a call has ended."""
        self._under_way.remove(calls)
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop the clock of the call that the current task is in, for something that has a deadline of its own."""
        task = trio.lowlevel.current_task()
        outer = [calls for calls in self._under_way if calls.is_counting(task)]
        for calls in outer:
            calls.stop_clock()
        try:
            yield
        finally:
            for calls in outer:
                calls.restart_clock()

    def is_within_call_of(self, whose: Registered) -> bool:
        """Return whether the task that asks is in a call of this plugin."""
        task = trio.lowlevel.current_task()
        return any(calls.whose is whose and calls.is_in(task) for calls in self._under_way)

    async def none_of(self, whose: Registered, *, except_in: str = "") -> None:
        """Wait until no call of this plugin is under way, except in one hook. Each has a deadline, so this ends."""
        while any(calls.whose is whose and calls.what != except_in for calls in self._under_way):
            if self._ended is None:
                self._ended = trio.Event()
            await self._ended.wait()

    async def watch(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Cancel each call when it is due, until cancelled."""
        task_status.started()
        while True:
            await self._begun.wait()  # for as long as nobody calls a plugin
            while self._under_way:
                now = trio.current_time()
                for calls in [calls for calls in self._under_way if calls.due <= now]:
                    calls.pass_deadline()
                # A call that begins in the meantime is due no sooner than the shortest timeout from now.
                next_look = min([now + self._shortest, *(calls.due for calls in self._under_way)])
                with trio.move_on_at(next_look) as self._sleep:
                    await trio.sleep_forever()
            self._begun = trio.Event()
            self._rests = True
