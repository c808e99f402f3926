"""The trace: what each plugin makes of each message, and how long it takes, for whoever watches."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import trio

from trichat import hookspecs
from trichat._base.failures import sentences
from trichat._base.messages import Handled, Message, Refuse
from trichat._plugins.deadlines import Calls
from trichat._plugins.dispatch import Answer, Call, Plugins
from trichat._plugins.registry import Implementation

# Messages that wait for a watcher who reads slowly; after them it misses some.
TRACE_BACKLOG = 1000


class Step(NamedTuple):
    """One plugin and one message."""

    plugin: str
    outcome: str
    """Passed, changed, consumed, refused, failed or cancelled."""
    microseconds: float
    """The time from the call to the answer, including what the plugin waited for."""
    detail: str
    """What it made of the message, or why it was refused."""


class Traced(NamedTuple):
    """A message, and its way through the plugins."""

    time: datetime
    message: Message
    steps: list[Step]

    def lines(self) -> Iterator[str]:
        """Yield it as text: the message as the chat log has it, and a line for each plugin."""
        yield f"{self.time:%Y-%m-%dT%H:%M:%S.%fZ} {_said(self.message)}"
        width = max((len(step.plugin) for step in self.steps), default=0)
        for step in self.steps:
            yield f"  {step.plugin:<{width}}  {step.outcome:<9} {step.microseconds:>9.1f} µs  {step.detail}".rstrip()


class Watcher:
    """What one watcher has not read yet. It never holds up whoever is watched: it misses messages instead."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[int, Traced]](TRACE_BACKLOG)
        self._missed = 0
        """Messages since the last one that it did not miss."""

    def put(self, traced: Traced) -> None:
        """Hand it a message, if there is room."""
        try:
            self._send.send_nowait((self._missed, traced))
            self._missed = 0
        except trio.WouldBlock:
            self._missed += 1

    async def next(self) -> list[str]:
        """Wait for the next message and return its lines, and before them, how many were missed in between."""
        if self._missed and not self._receive.statistics().current_buffer_used:
            # Nobody has said anything since: this is all that there is to tell of them.
            await trio.lowlevel.checkpoint()
            missed, self._missed = self._missed, 0
            return [_missing(missed)]
        missed, traced = await self._receive.receive()
        return [_missing(missed), *traced.lines()] if missed else [*traced.lines()]


class Tracer:
    """Puts itself between the messages and `plugins` as long as somebody watches. Each `Plugins` has one at most."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._watchers: set[Watcher] = set()

    @property
    def asked(self) -> list[str]:
        """The plugins that are asked about a message, in this order."""
        return self._plugins.roster.order()[hookspecs.on_message.__name__]

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Watch all messages that arrive during the block."""
        watcher = Watcher()
        self._watchers.add(watcher)
        self._plugins.traced = self._ask
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            if not self._watchers:
                self._plugins.traced = None

    async def _ask(self, call: Call, client: object, message: Message, calls: Calls) -> Answer:
        """Ask the plugins by `call`, and tell the watchers, also of what is cut short."""
        steps: list[Step] = []

        async def timed(hook: str, implementation: Implementation, arguments: Sequence[Any], calls: Calls) -> Any:
            _, asked = arguments
            begun = time.perf_counter_ns()
            outcome, detail = "cancelled", ""
            try:
                answer = await call(hook, implementation, arguments, calls)
                outcome, detail = _judge(answer, asked)
            except Exception as failure:
                outcome, detail = "failed", sentences(failure.__cause__ or failure)
                raise
            finally:
                steps.append(Step(implementation.plugin, outcome, (time.perf_counter_ns() - begun) / 1000, detail))
            return answer

        traced = Traced(datetime.now(UTC), message, steps)
        try:
            return await self._plugins.ask_through(timed, client, message, calls)
        finally:
            for watcher in self._watchers:
                watcher.put(traced)


def _judge(answer: Message | Handled | Refuse | None, asked: Message) -> tuple[str, str]:
    match answer:
        case Refuse(reason):
            return "refused", reason
        case Handled():
            return "consumed", ""
        case Message() if answer != asked:
            return "changed", _said(answer)
    return "passed", ""


def _said(message: Message) -> str:
    return f"{message.room} {message.sender}: {message.text}"


def _missing(count: int) -> str:
    return f"({count} message{'s' if count > 1 else ''} not shown: they came faster than they were read)"
