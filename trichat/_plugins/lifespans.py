"""The lifespans of the plugins: entered in order, each in a task of its own, and left in reverse order."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext

import trio

from trichat._base.errors import StartError
from trichat._base.failures import sentences, split_failure
from trichat._config.plugin_policy import CLEANUP
from trichat._plugins.background_tasks import BackgroundTasks

logger = logging.getLogger("trichat.plugins")

# Seconds during which a crash of a new version still counts as a failed start. One of its background tasks may find the
# port taken that it needs.
SETTLING = 0.1


class Lifespans:
    """Enters the plugins' context managers. Leaving all of them may take `grace` seconds altogether.

    `timeout_of` takes the name of a plugin, and returns how many seconds entering it may take. `on_crash` takes the
    name of a plugin whose lifespan crashed after it was entered, and returns what to tell people about it. To interrupt
    the start, cancel `entering`: no more plugins are entered, and those already entered are held until `stop`, which
    interrupts the start as well.
    """

    def __init__(
        self,
        plugins: Iterable[tuple[str, AbstractAsyncContextManager[None]]],
        *,
        timeout_of: Callable[[str], float],
        grace: float,
        on_crash: Callable[[str], str],
        entering: trio.CancelScope,
    ) -> None:
        self._plugins = plugins
        self._entering = entering
        self._timeout_of = timeout_of
        self._grace = grace
        self._on_crash = on_crash
        self._stopping = trio.Event()
        self._nursery: trio.Nursery | None = None
        """Where lifespans run; `None` while no lifespan may be entered."""
        self._entered: dict[str, _Lifespan] = {}
        """In the order in which they were first entered, including those that were left since."""

    def stop(self) -> None:
        """Make `run` leave the lifespans and end, also while it still enters them."""
        self._stopping.set()
        self._entering.cancel("the server is stopping")

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Hold the lifespans until `stop`. Raises `StartError` if a plugin cannot start."""
        async with trio.open_nursery() as nursery:
            try:
                with self._entering:
                    for name, manager in self._plugins:
                        # Without this, a lifespan that never waits would be entered even after a cancellation.
                        await trio.lowlevel.checkpoint_if_cancelled()
                        await self._enter(name, manager, nursery)
                self._nursery = nursery
                task_status.started()
                await self._stopping.wait()
            finally:
                self._nursery = None
                # `shielded_service` shields all of this.
                await self._leave_all()  # noqa: ASYNC102

    async def enter(self, name: str, manager: AbstractAsyncContextManager[None], seconds: float) -> None:
        """Enter a new lifespan, or the successor of one that was left, and let it settle. Raises `StartError`."""
        nursery = self._nursery
        if nursery is None or self._stopping.is_set():
            raise self._too_late(name)
        lifespan = _Lifespan(name, manager, self._on_crash, settled=False)
        await self._start(lifespan, nursery, seconds)
        self._entered[name] = lifespan
        try:
            with trio.move_on_after(SETTLING) as scope:
                await lifespan.ended()
        except trio.Cancelled:
            lifespan.cancel()
            raise
        if self._stopping.is_set():
            # `_leave_all` may have finished already, and would not leave this one.
            await lifespan.leave()
            raise self._too_late(name)
        if not scope.cancelled_caught:
            raise StartError(f"plugin {name!r} crashed as soon as it had started")
        lifespan.settled = True

    async def extend(self, name: str, start_more: Callable[[BackgroundTasks], Awaitable[None]]) -> None:
        """Let `start_more` start background tasks of a plugin, which need not have a lifespan of its own.

        For what has to wait until `run` has entered all lifespans. Raises `StartError` if that fails or takes too long.
        Does nothing if the plugin has crashed.
        """
        if name not in self._entered:
            assert self._nursery is not None, "the lifespans are held"
            await self._enter(name, nullcontext(), self._nursery)
        background = self._entered[name].background
        if background is None or background.has_ended:
            return
        seconds = self._timeout_of(name)
        try:
            with trio.move_on_after(seconds) as scope:
                await start_more(background)
        except BaseException as error:  # noqa: ASYNC103
            failure, passing = split_failure(error)
            if passing is not None:
                raise passing from None  # noqa: ASYNC104
            raise _cannot_start(name, failure or error) from error  # noqa: ASYNC104
        if scope.cancelled_caught:
            raise _not_started(name, seconds)

    def _too_late(self, name: str) -> StartError:
        return StartError(f"plugin {name!r} cannot start: the server is stopping")

    async def leave(self, name: str, seconds: float) -> bool:
        """Leave one, and return whether it has ended. After `seconds` it is cancelled, which it may ignore."""
        lifespan = self._entered.get(name)
        if lifespan is None:
            return True
        with trio.move_on_after(seconds) as scope:
            await lifespan.leave()
        if scope.cancelled_caught:
            logger.error("plugin %r did not end within %g seconds", name, seconds)
            lifespan.cancel()
            with trio.move_on_after(CLEANUP) as scope:
                await lifespan.leave()
        return not scope.cancelled_caught

    async def _enter(self, name: str, manager: AbstractAsyncContextManager[None], nursery: trio.Nursery) -> None:
        lifespan = _Lifespan(name, manager, self._on_crash, settled=True)
        seconds = self._timeout_of(name)
        with trio.move_on_after(seconds) as scope:
            await nursery.start(lifespan.run, name=f"plugin {name}")
        if scope.cancelled_caught:
            raise _not_started(name, seconds)
        self._entered[name] = lifespan

    async def _start(self, lifespan: "_Lifespan", nursery: trio.Nursery, seconds: float) -> None:
        """Start it in a running server. If it ignores its cancellation, it must not hold up the tasks that wait."""
        name = lifespan.name
        nursery.start_soon(lifespan.start, nursery, name=f"plugin {name} starts")
        try:
            with trio.move_on_after(seconds) as scope:
                await lifespan.started()
        finally:
            lifespan.start_no_longer()
        if scope.cancelled_caught:
            with trio.move_on_after(CLEANUP) as scope:
                await lifespan.started()
            if scope.cancelled_caught:
                logger.error("plugin %r is still starting although it was cancelled %g s ago", name, CLEANUP)
            raise _not_started(name, seconds)
        if lifespan.failure is not None:
            raise lifespan.failure

    async def _leave_all(self) -> None:
        """Leave them in reverse order. One that hangs is cancelled with the nursery; the others get their turn."""
        end = trio.current_time() + self._grace
        entered = list(self._entered.values())
        while entered:
            share = (end - trio.current_time()) / len(entered)
            lifespan = entered.pop()
            with trio.move_on_after(share) as scope:
                await lifespan.leave()
            if scope.cancelled_caught:
                logger.error("plugin %r did not end within %g seconds", lifespan.name, share)


def _cannot_start(name: str, failure: BaseException) -> StartError:
    return StartError(f"plugin {name!r} cannot start: {sentences(failure)}")


def _not_started(name: str, seconds: float) -> StartError:
    return StartError(f"plugin {name!r} did not start within {seconds:g} seconds")


class _Lifespan:
    def __init__(
        self,
        name: str,
        manager: AbstractAsyncContextManager[None],
        on_crash: Callable[[str], str],
        *,
        settled: bool,
    ) -> None:
        self.name = name
        self.settled = settled
        """Whether a crash is one of the running plugin, rather than a failed start."""
        self._manager = manager
        self._on_crash = on_crash
        self.background: BackgroundTasks | None = None
        """Its background tasks, once it is being entered."""
        self.failure: StartError | None = None
        """Why it could not start."""
        self._starting = trio.CancelScope()
        self._started = trio.Event()
        """Set when it has started, or never will."""
        self._stopping = trio.Event()
        self._left = trio.Event()
        self._all = trio.CancelScope()
        """Encloses the lifespan and its background tasks."""

    async def start(self, nursery: trio.Nursery) -> None:
        try:
            with self._starting:
                await nursery.start(self.run, name=f"plugin {self.name}")
        except StartError as failure:
            self.failure = failure
        finally:
            self._started.set()

    async def started(self) -> None:
        await self._started.wait()

    def start_no_longer(self) -> None:
        self._starting.cancel("the plugin did not start in time")

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        entered = False
        try:
            with self._all:
                async with trio.open_nursery() as nursery:
                    background = self.background = BackgroundTasks(self.name, nursery)
                    background.become_current()
                    async with self._manager:
                        entered = True
                        task_status.started()
                        await self._stopping.wait()
                        await background.end()
                    nursery.cancel_scope.cancel()
            if not self._stopping.is_set():
                raise RuntimeError("its lifespan ended by itself")
        except BaseException as error:  # noqa: ASYNC103
            failure, passing = split_failure(error)
            # If a cancellation or Ctrl-C comes together with a failed start, it takes precedence.
            if failure is not None and (entered or passing is None):
                self._report(_alone(failure), entered=entered)
            if passing is not None:
                raise passing from None  # noqa: ASYNC104
        finally:
            self._left.set()

    def _report(self, failure: BaseException, *, entered: bool) -> None:
        if not entered:
            raise _cannot_start(self.name, failure) from failure
        if self._stopping.is_set():
            logger.error("plugin %r failed while it ended: %s", self.name, sentences(failure), exc_info=failure)
        elif not self.settled:
            logger.error("plugin %r crashed: %s", self.name, sentences(failure), exc_info=failure)
        else:
            logger.error("plugin %r: %s", self.name, self._on_crash(self.name), exc_info=failure)

    async def ended(self) -> None:
        await self._left.wait()

    async def leave(self) -> None:
        self._stopping.set()
        await self.ended()

    def cancel(self) -> None:
        self._all.cancel("the plugin did not end in time")


def _alone(error: BaseException) -> BaseException:
    """Return the error in a group of one. The nursery of the background tasks wraps every error in such a group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
