"""Calls of plugins: each has a deadline, and what goes wrong in it is logged and counted."""

import inspect
import logging
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import trio

from trichat import hookspecs
from trichat._base.errors import ConfigError, RequiredPluginFailed
from trichat._base.failures import Misbehaved, described, exceptions_only, sentences, split_failure
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.deadlines import Calls
from trichat._plugins.gates import Gates
from trichat._plugins.registry import ASKING, Implementation

logger = logging.getLogger("trichat.plugins")


class HookFailed(Exception):
    """A plugin failed in a hook. It is in the log already; the text is what a client may be told."""


class PluginCalls:
    """Calls the plugins of a server, one after the other."""

    def __init__(self, active: ActiveHooks, gates: Gates) -> None:
        self._active = active
        self._gates = gates

    async def call(
        self,
        hook: str,
        implementation: Implementation,
        arguments: Sequence[Any],
        calls: Calls,
        answered: object = None,
    ) -> Any:
        """Call one plugin, unless it has `answered` already, and return its answer. Raises `HookFailed`."""
        try:
            answer = answered
            if answer is None:
                successor = await self._gates.successor(hook, implementation)
                if successor is None:
                    return None
                implementation = successor
                answer = implementation.call(*arguments)
            if inspect.isawaitable(answer):
                answer = await calls.wait_for(answer, implementation.owner, hook, takes_late=hook not in ASKING)
            return _checked(hook, answer)
        except BaseException as error:
            raise self.failure(hook, implementation, error) from error  # noqa: ASYNC104

    def call_at_once(self, hook: str, implementation: Implementation, arguments: Sequence[Any]) -> Any:
        """Call one plugin that may not wait, and return its answer. Raises `HookFailed`."""
        try:
            return _checked(hook, implementation.call(*arguments))
        except BaseException as error:
            raise self.failure(hook, implementation, error) from error  # noqa: ASYNC104

    def failure(self, hook: str, implementation: Implementation, error: BaseException) -> HookFailed:
        """Note what a plugin raised, and return it as its failure. Raises any cancellation in it."""
        if isinstance(error, HookFailed):
            return error  # noted already
        failure, passing = split_failure(error)
        if failure is not None:
            log_failure(implementation.plugin, hook, failure)
            self._active.note_failure(implementation.owner, hook)
        if passing is not None:
            raise passing from None
        return HookFailed(f"the plugin {implementation.plugin!r} failed")

    async def tell(
        self,
        hook: str,
        walk: Iterator[Implementation],
        arguments: Sequence[Any],
        calls: Calls,
        answered: Awaitable[object] | None = None,
    ) -> list[str]:
        """Tell one plugin after the other, and wait for each. With `answered`, the first one has answered already."""
        failures: list[str] = []
        cancelled: BaseException | None = None
        for implementation in walk:
            try:
                begun, answered = answered, None
                await self.call(hook, implementation, arguments, calls, begun)
                if hook == hookspecs.on_reload.__name__:
                    self._active.end_quarantine(implementation.plugin)
            except HookFailed as failure:
                if implementation.required:
                    raise RequiredPluginFailed(str(failure)) from failure.__cause__
                failures.append(f"{failure}: {sentences(failure.__cause__ or failure)}")
            except (trio.Cancelled, BaseExceptionGroup) as error:  # noqa: ASYNC103
                if implementation.required:
                    raise  # nobody may see what it did not keep
                # Raised below. Ctrl-C comes only once, so it takes precedence over a cancellation.
                if cancelled is None or isinstance(cancelled, trio.Cancelled):
                    cancelled = error
        if cancelled is not None:
            raise cancelled
        return failures


def _checked(hook: str, answer: Any) -> Any:
    """Return the answer to a hook. Raises `Misbehaved` if the hook does not know such an answer."""
    if answer is not None and not isinstance(answer, ASKING.get(hook, object)):
        raise Misbehaved(f"{described(answer)} is not an answer to this hook")
    return answer


def log_failure(plugin: str, what: str, failure: BaseException) -> None:
    """Log that a plugin failed in a hook or a command."""
    # An OSError, such as a deadline, or a fault in a file is about the world, not about the plugin's code.
    trace = None if isinstance(failure, (Misbehaved, OSError, ConfigError)) else failure
    logger.error("plugin %r failed in %s: %s", plugin, what, sentences(failure), exc_info=trace)


@contextmanager
def failure_logged(plugin: str, what: str) -> Iterator[None]:
    """Log what a plugin's code raises in the block, and end the block there. What has to pass is raised."""
    note = partial(log_failure, plugin, what)
    try:
        with exceptions_only(note):
            yield
    except Exception as error:
        note(error)
