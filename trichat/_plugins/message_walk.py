"""The two walks over the plugins that every message takes: asking about it, and telling of its batch.

Nearly every plugin answers both at once, and has nothing to say. So each walk is a plain function, and continues in a
coroutine only at the first plugin that has to be waited for.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

from trichat._base.errors import RequiredPluginFailed
from trichat._base.messages import Handled, Message, Refuse
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.deadlines import Calls
from trichat._plugins.gates import Gates
from trichat._plugins.plugin_calls import PluginCalls
from trichat._plugins.registry import Implementation

Answer = Message | Handled | Refuse
"""What comes of a message: what everyone sees, or that nobody does."""

AskMessage = Callable[[object, Message, Calls], Answer | Awaitable[Answer]]
"""Asks every plugin about a message of a client, and returns what comes of it or, if it has to wait, what to await."""


class AskPrivate(Protocol):
    """Asks every plugin about a private line, and returns what comes of it."""

    async def __call__(self, client: Any, other: Any, line: Message, calls: Calls) -> Answer:
        """Ask about a line of `client` to `other`."""


class Steps(Protocol):
    """Is told of each step of a message through the plugins."""

    def begin(self, plugin: str, message: Message) -> None:
        """A plugin is about to be asked."""

    def answered(self, answer: Answer | None) -> None:
        """It has answered."""

    def failed(self, error: BaseException) -> None:
        """It has failed, or was cancelled, with this error."""


class MessageWalk:
    """The walks over the plugins of one server."""

    def __init__(self, active: ActiveHooks, gates: Gates, plugin_calls: PluginCalls) -> None:
        self._active = active
        self._closed = gates.closed
        """Looked at once for each message. Looking at each plugin's gate would take 4 % of its time."""
        self._plugin_calls = plugin_calls

    def ask(self, client: object, message: Message, calls: Calls) -> Answer | Awaitable[Answer]:
        """Ask every plugin about a message, as `ask_step_by_step` does, which continues at the first that answers.

        Nearly every plugin passes nearly every message. Asking without a coroutine until then takes a tenth off the
        processor time of a message in a busy room (`benchmarks/compare.py --row small-room`).
        """
        if self._closed:
            return self.ask_step_by_step(client, message, calls)
        walk = iter(self._active.hooks["on_message"])
        for implementation in walk:
            call_plugin = implementation.call  # calling what is in a slot takes longer than fetching it first
            try:
                answer = call_plugin(client, message)
            except BaseException as error:  # noqa: ASYNC103 - `_refusal` raises a cancellation
                answer = self._refusal("on_message", implementation, error)  # noqa: ASYNC104
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
        for implementation in self._active.hooks["on_message"] if walk is None else walk:
            if steps is not None:
                steps.begin(implementation.plugin, message)
            begun, answered = answered, None
            answer: Answer | None = None
            try:
                if begun is None and implementation.owner.takes_calls:
                    begun = implementation.call(client, message)
                if begun is not None or not implementation.owner.takes_calls:
                    asked = (client, message)
                    answer = await self._plugin_calls.call("on_message", implementation, asked, calls, begun)
                if steps is not None:
                    steps.answered(answer)
            except BaseException as error:  # noqa: ASYNC103 - `_refusal` raises a cancellation
                if steps is not None:
                    steps.failed(error)
                answer = self._refusal("on_message", implementation, error)  # noqa: ASYNC104
            if answer is None:
                continue
            if not isinstance(answer, Message):
                return answer
            message = answer
        return message

    async def ask_private(
        self, client: Any, other: Any, line: Message, calls: Calls, steps: Steps | None = None
    ) -> Answer:
        """Ask every plugin about a private line of `client` to `other`, each about what the one before made of it.

        `calls` are those of the task that asks; `steps` is told of each step. Returns what comes of the line.
        """
        for implementation in self._active.hooks["on_tell"]:
            if steps is not None:
                steps.begin(implementation.plugin, line)
            answer: Answer | None
            try:
                told = await self._plugin_calls.call("on_tell", implementation, (client, other, line.text), calls)
                answer = line.with_text(told) if isinstance(told, str) else told
                if steps is not None:
                    steps.answered(answer)
            except BaseException as error:  # noqa: ASYNC103 - `_refusal` raises a cancellation
                if steps is not None:
                    steps.failed(error)
                answer = self._refusal("on_tell", implementation, error)  # noqa: ASYNC104
            if answer is None:
                continue
            if not isinstance(answer, Message):
                return answer
            line = answer
        return line

    def _refusal(self, hook: str, implementation: Implementation, error: BaseException) -> Refuse | None:
        """Note what a plugin raised instead of answering, and return what comes of it.

        Raises any cancellation in it.
        """
        failure = self._plugin_calls.failure(hook, implementation, error)
        return None if implementation.owner.policy.on_error == "skip" else Refuse(str(failure))

    def tell_batch(self, messages: Sequence[Message], calls: Calls) -> Awaitable[object] | None:
        """Tell every plugin of a batch. If a plugin has to be waited for, return what to await.

        It may be called in any task, and is awaited in the task that `calls` belong to. Raises `RequiredPluginFailed`
        if a required plugin fails, and so does what is awaited. Plugins after it are not told then, nor if it was
        cancelled.
        """
        walk = iter(self._active.hooks["on_broadcast"])
        if self._closed:
            return self._plugin_calls.tell("on_broadcast", walk, (messages,), calls)
        # The log writes without waiting, so this is all that is done for nearly every batch.
        for implementation in walk:
            call_plugin = implementation.call
            try:
                answer = call_plugin(messages)
            except BaseException as error:  # noqa: ASYNC103
                failure = self._plugin_calls.failure("on_broadcast", implementation, error)
                if implementation.required:
                    raise RequiredPluginFailed(str(failure)) from error  # noqa: ASYNC104
                continue  # noqa: ASYNC104
            if answer is not None and inspect.isawaitable(answer):
                calls.note_begun(implementation.owner, "on_broadcast")
                return self._plugin_calls.tell(
                    "on_broadcast", chain([implementation], walk), (messages,), calls, answer
                )
        return None
