"""The plugins of one server, and how they are called.

pluggy keeps the registry and the order. The calls are made here, because a hook may be `async` and pluggy does not
await. Each call walks the implementations in order and awaits one after the other: an answer can stop the walk without
leaving a coroutine behind, and a changed message is passed to the next plugin.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, ClassVar, ParamSpec, Protocol, TypeVar

import trio

from trichat import hookspecs
from trichat._base.errors import ConfigError, PluginError, RequiredPluginFailed
from trichat._base.failures import Misbehaved, described, pass_on, sentences, split_failure
from trichat._base.messages import Handled, Message, Refuse
from trichat._config.plugin_policy import Policy
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.deadlines import Calls, Deadlines
from trichat._plugins.registry import ASKING, Implementation, Registered, Registry

logger = logging.getLogger("trichat.plugins")

P = ParamSpec("P")
R = TypeVar("R")

Answer = Message | Handled | Refuse
"""What comes of a message: what everyone sees, or that nobody does."""

AskMessage = Callable[[object, Message, Calls], Answer | Awaitable[Answer]]
"""Asks every plugin about a message of a client, and returns what comes of it or, if it has to wait, what to await."""


class Steps(Protocol):
    """Is told of each step of a message through the plugins."""

    def begin(self, plugin: str, message: Message) -> None:
        """A plugin is about to be asked."""

    def answered(self, answer: Answer | None) -> None:
        """It has answered."""

    def failed(self, error: BaseException) -> None:
        """It has failed, or was cancelled, with this error."""


class HookFailed(Exception):
    """A plugin failed in a hook. It is in the log already; the text is what a client may be told."""


class Plugins:
    """The registered plugins. `hook_timeout` is how many seconds a call may take, if no policy says otherwise.

    `on_silenced` is called with the name of a plugin that is told nothing any more, and why; `on_fatal` with why the
    server has to stop.
    """

    active_hooks_class: ClassVar[type[ActiveHooks]] = ActiveHooks
    """For the test kit, which puts a cancel scope around each call; in `call_contributing`, around each lifespan."""

    def __init__(
        self,
        hook_timeout: float,
        *,
        on_silenced: Callable[[str, str], None] = lambda _name, _why: None,
        on_fatal: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._timeout = hook_timeout
        self.active = self.active_hooks_class(on_silenced=on_silenced, on_fatal=on_fatal)
        """Which plugins are called."""
        self.deadlines = Deadlines()
        """The calls under way, each with a deadline."""
        self._held: set[Registered] = set()
        """The plugins whose gate is closed. Looking at every gate for each message would take 4 % of its time."""
        self.ask_message: AskMessage = self._ask_untraced
        """Asks about a message. A trace replaces this function while it runs."""

    @property
    def is_traced(self) -> bool:
        """Whether a trace asks about messages."""
        return self.ask_message != self._ask_untraced

    def trace_by(self, ask: AskMessage | None) -> None:
        """Let `ask` ask about messages from now on, by `ask_step_by_step`; `None` ends that."""
        self.ask_message = ask or self._ask_untraced

    def register(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Add a plugin: a module or an instance. Raises `PluginError` if it is not built as a plugin has to be."""
        self.active.add(self._registered(name, plugin, policy or Policy()))

    def _registered(self, name: str, plugin: object, policy: Policy) -> Registered:
        timeout = self._timeout if policy.hook_timeout is None else policy.hook_timeout
        self.deadlines.allow(timeout)
        return Registered(name, plugin, policy.in_effect(), timeout)

    def with_another(self, name: str, plugin: object, policy: Policy | None = None) -> Registry:
        """Return a registry in which `plugin` replaces the one of this name. Raises `PluginError`.

        Without a policy, it has that of the other one. Nothing changes until `active` installs the registry.
        """
        registry = self.active.registry
        return registry.with_another(self._registered(name, plugin, policy or registry[name].policy))

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Let new calls of a plugin wait for the end of the block. If it was replaced, its successor gets them."""
        held = self.active.registry[name]
        held.close_gate()
        self._held.add(held)
        try:
            yield
        finally:
            self._held.remove(held)
            held.open_gate(replaced=self.active.registry[name] is not held)

    async def _successor(self, hook: str, implementation: Implementation) -> Implementation | None:
        """Wait at the plugin's gate, if it is closed, and return what to call: itself, its successor, or nothing.

        There is no deadline here: the code that holds the plugin's calls has one.
        """
        successor: Implementation | None = implementation
        while successor is not None and (gate := successor.owner.gate) is not None:
            await gate.wait()
            # The successor may be about to be replaced, too.
            successor = next((each for each in self.active.hooks[hook] if each.plugin == implementation.plugin), None)
        return successor

    async def ask(self, hook: Callable[P, Awaitable[R]], *arguments: P.args, **_: P.kwargs) -> R | Refuse | None:
        """Ask one plugin after the other until one answers. A plugin that fails refuses.

        `arguments` are those of the hook, by position, here and below.
        """
        with self.deadlines.calls() as calls:
            for implementation in self.active.hooks[hook.__name__]:
                try:
                    answer = await self._call(hook.__name__, implementation, arguments, calls)
                except HookFailed as failure:
                    if implementation.owner.policy.on_error == "skip":
                        continue
                    return Refuse(str(failure))
                if answer is not None:
                    return answer  # type: ignore[no-any-return]
        return None

    def _ask_untraced(self, client: object, message: Message, calls: Calls) -> Answer | Awaitable[Answer]:
        """Ask every plugin about a message, as `ask_step_by_step` does, which continues at the first that answers.

        Nearly every plugin passes nearly every message. Asking without a coroutine until then takes a tenth off the
        processor time of a message in a busy room (`benchmarks/compare.py --row small-room`).
        """
        if self._held:
            return self.ask_step_by_step(client, message, calls)
        walk = iter(self.active.hooks["on_message"])
        for implementation in walk:
            call_plugin = implementation.call  # calling what is in a slot takes longer than fetching it first
            try:
                answer = call_plugin(client, message)
            except BaseException as error:  # noqa: ASYNC103 - `_refusal` raises a cancellation
                answer = self._refusal(implementation, error)  # noqa: ASYNC104
            if answer is not None:
                rest = chain([implementation], walk)
                return self.ask_step_by_step(client, message, calls, walk=rest, answered=answer)
        return message

    async def ask_step_by_step(
        self,
        client: object,
        message: Message,
        calls: Calls,
        steps: Steps | None = None,
        *,
        walk: Iterable[Implementation] | None = None,
        answered: object = None,
    ) -> Answer:
        """Ask every plugin about a message, each about what the one before it made of it.

        `calls` are those of the task that asks; `steps` is told of each step. With `walk`, only those plugins are
        asked; with `answered`, the first of them has answered already. Returns what comes of the message.
        """
        for implementation in self.active.hooks["on_message"] if walk is None else walk:
            if steps is not None:
                steps.begin(implementation.plugin, message)
            begun, answered = answered, None
            answer: Answer | None = None
            try:
                if implementation.owner.gate is None and begun is None:
                    begun = implementation.call(client, message)
                if implementation.owner.gate is not None or begun is not None:
                    answer = await self._call("on_message", implementation, (client, message), calls, begun)
                if steps is not None:
                    steps.answered(answer)
            except BaseException as error:  # noqa: ASYNC103 - `_refusal` raises a cancellation
                if steps is not None:
                    steps.failed(error)
                answer = self._refusal(implementation, error)  # noqa: ASYNC104
            if answer is None:
                continue
            if not isinstance(answer, Message):
                return answer
            message = answer
        return message

    def _refusal(self, implementation: Implementation, error: BaseException) -> Refuse | None:
        """Note what a plugin raised instead of answering about a message, and return what comes of it.

        Raises any cancellation in it.
        """
        failure = self._failure("on_message", implementation, error)
        return None if implementation.owner.policy.on_error == "skip" else Refuse(str(failure))

    async def tell(self, hook: Callable[P, Awaitable[None]], *arguments: P.args, **_: P.kwargs) -> list[str]:
        """Tell every plugin, and return what failed: a sentence for each plugin that did.

        Every plugin is called even if this is cancelled; then its first wait is cancelled.
        """
        with self.deadlines.calls() as calls:
            return await self._tell(hook.__name__, iter(self.active.hooks[hook.__name__]), arguments, calls)

    def tell_batch(self, messages: Sequence[Message], calls: Calls) -> Awaitable[object] | None:
        """Tell every plugin of a batch. If a plugin has to be waited for, return what to await.

        It may be called in any task, and is awaited in the task that `calls` belong to. Raises `RequiredPluginFailed`
        if a required plugin fails, and so does what is awaited. Plugins after it are not told then, nor if it was
        cancelled.
        """
        walk = iter(self.active.hooks["on_broadcast"])
        if self._held:
            return self._tell("on_broadcast", walk, (messages,), calls)
        # The log writes without waiting, so this is all that is done for nearly every batch.
        for implementation in walk:
            call_plugin = implementation.call
            try:
                answer = call_plugin(messages)
            except BaseException as error:  # noqa: ASYNC103
                failure = self._failure("on_broadcast", implementation, error)
                if implementation.required:
                    raise RequiredPluginFailed(str(failure)) from error  # noqa: ASYNC104
                continue  # noqa: ASYNC104
            if answer is not None and inspect.isawaitable(answer):
                calls.note_begun(implementation.owner)
                return self._tell("on_broadcast", chain([implementation], walk), (messages,), calls, answer)
        return None

    async def _tell(
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
                await self._call(hook, implementation, arguments, calls, begun)
                if hook == hookspecs.on_reload.__name__:
                    self.active.end_quarantine(implementation.plugin)
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

    def contributions(self, hook: Callable[P, R], *arguments: P.args, **_: P.kwargs) -> Iterator[tuple[str, R]]:
        """Yield what each plugin contributes, with its name, in the order of registration.

        Raises `PluginError` if one fails.
        """
        for implementation in self.active.hooks[hook.__name__]:
            yield implementation.plugin, self.call_contributing(hook.__name__, implementation, arguments)

    def contribution_of(
        self, registered: Registered, registry: Registry, hook: Callable[P, R], *arguments: P.args, **_: P.kwargs
    ) -> R | None:
        """Return what one plugin of `registry` contributes, or `None`. Raises `PluginError` if it fails."""
        for implementation in registry.hooks[hook.__name__]:
            if implementation.owner is registered:
                return self.call_contributing(hook.__name__, implementation, arguments)  # type: ignore[no-any-return]
        return None

    def call_contributing(self, hook: str, implementation: Implementation, arguments: Sequence[Any]) -> Any:
        """Return what one plugin contributes. Raises `PluginError` if it fails."""
        try:
            return implementation.call(*arguments)
        except BaseException as error:
            pass_on(error)
            raise PluginError(f"plugin {implementation.plugin!r} failed in {hook}: {described(error)}") from error  # noqa: ASYNC104

    async def _call(
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
                successor = await self._successor(hook, implementation)
                if successor is None:
                    return None
                implementation = successor
                answer = implementation.call(*arguments)
            if inspect.isawaitable(answer):
                answer = await calls.wait_for(answer, implementation.owner, hook, takes_late=hook not in ASKING)
            if answer is not None and not isinstance(answer, ASKING.get(hook, object)):
                raise Misbehaved(f"{described(answer)} is not an answer to this hook")
        except BaseException as error:
            raise self._failure(hook, implementation, error) from error  # noqa: ASYNC104
        return answer

    def _failure(self, hook: str, implementation: Implementation, error: BaseException) -> HookFailed:
        """Note what a plugin raised, and return it as its failure. Raises any cancellation in it."""
        if isinstance(error, HookFailed):
            return error  # noted already
        failure, passing = split_failure(error)
        if failure is not None:
            log_failure(implementation.plugin, hook, failure)
            self.active.note_failure(implementation.owner, hook)
        if passing is not None:
            raise passing from None
        return HookFailed(f"the plugin {implementation.plugin!r} failed")


def log_failure(plugin: str, what: str, failure: BaseException) -> None:
    """Log that a plugin failed in a hook or a command."""
    # An OSError, such as a deadline, or a fault in a file is about the world, not about the plugin's code.
    trace = None if isinstance(failure, (Misbehaved, OSError, ConfigError)) else failure
    logger.error("plugin %r failed in %s: %s", plugin, what, sentences(failure), exc_info=trace)
