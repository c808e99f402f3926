"""The deadlines of the calls of plugins, and who is called at the moment.

A cancel scope and a timer for each call would cost more than everything else in it. So a task has one scope for all of
its calls, one after the other, and each call only notes when it is due. One watcher for all of them cancels what is
past its deadline. The scope is used up by that, and replaced.

What goes on all the same, because of a shield or of a swallowed cancellation, nobody can end. It is named in the log.
"""

import logging
import math
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import trio

from trichat._registry import Registered
from trichat._tasks import waiting_at

logger = logging.getLogger("trichat.plugins")

R = TypeVar("R")

# Seconds that a call has for its cleanup after its deadline.
CLEANUP = 1.0


class Overran(Exception):
    """A call has not come to its end before its deadline."""

    def __init__(self, timeout: float) -> None:
        super().__init__(f"it took longer than hook_timeout ({timeout:g} s)")


class Calls:
    """The calls of one task. `Deadlines.calls` makes it."""

    def __init__(self, deadlines: "Deadlines", stack: ExitStack) -> None:
        self._deadlines = deadlines
        self._stack = stack
        self._task = trio.lowlevel.current_task()
        self._scope = stack.enter_context(trio.CancelScope())
        self._is_cancelled = False
        """Whether the scope is: to ask it would make it look at the time."""
        self._now = trio.lowlevel.current_clock().current_time
        """`trio.current_time`, without the search for the clock."""
        self.whose: Registered | None = None
        """Who is called at the moment, or was last."""
        self.what = ""
        """The hook, or the command."""
        self.due = math.inf
        """When there is something to be done about the call, in Trio's time."""
        self.was_late = False
        """Whether the last call has come to its end in spite of its deadline."""

    async def wait_for(self, answer: Awaitable[R], whose: Registered, what: str) -> R:
        """Await what a plugin answers. Raises `Overran` if that was cancelled after the plugin's timeout."""
        self.whose = whose
        self.what = what
        self.due = self._now() + whose.timeout
        self.was_late = False
        self._deadlines.begin(self)
        try:
            result = await answer
        except BaseException:
            self._deadlines.end(self)
            if not self._is_cancelled:
                raise
            with self._renewed():
                raise
            # Only its own cancellation does not get out of the scope.
            raise Overran(whose.timeout) from None
        self._deadlines.end(self)
        if self._is_cancelled:
            self.was_late = True
            with self._renewed():
                pass
        return result

    def pass_deadline(self) -> None:
        """Cancel the call; and when it has had the time for its cleanup, name it."""
        if not self._is_cancelled:
            self._is_cancelled = True
            self.due += CLEANUP
            self._scope.cancel("the plugin has taken too long")
        else:
            self.due = math.inf
            place = waiting_at(self._task) or "an unknown place"
            logger.error(
                "plugin %r in %s goes on although it was cancelled more than %g s ago, at %s",
                self.whose.name if self.whose else "",
                self.what,
                CLEANUP,
                place,
            )

    @contextmanager
    def _renewed(self) -> Iterator[None]:
        """Leave the scope at the end of the block, with what is raised there, and enter a new one."""
        try:
            with self._stack.pop_all():
                yield
        finally:
            self._scope = self._stack.enter_context(trio.CancelScope())
            self._is_cancelled = False


class Deadlines:
    """The calls under way. `watch` has to be running for any deadline to be kept."""

    def __init__(self) -> None:
        self._under_way: set[Calls] = set()
        self._rests = True
        """Whether the watcher waits for a call to begin."""
        self._begun = trio.Event()
        self._ended: trio.Event | None = None
        """There while somebody waits for a call to end."""
        self._shortest = math.inf

    def allow(self, timeout: float) -> None:
        """Let calls have this timeout, in seconds. No call may have a shorter one than the shortest of these."""
        self._shortest = min(self._shortest, timeout)

    @contextmanager
    def calls(self) -> Iterator[Calls]:
        """Let the task that enters the block call plugins there, one at a time."""
        with ExitStack() as stack:
            yield Calls(self, stack)

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

    async def none_of(self, whose: Registered) -> None:
        """Wait until no call of this plugin is under way: no longer than those who call it wait."""
        while any(calls.whose is whose for calls in self._under_way):
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
                await trio.sleep_until(min([now + self._shortest, *(calls.due for calls in self._under_way)]))
            self._begun = trio.Event()
            self._rests = True
