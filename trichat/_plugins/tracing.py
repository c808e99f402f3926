"""The trace: what each plugin makes of each message, and how long it takes, for those who watch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import trio

from trichat import hookspecs
from trichat._base.failures import sentences, split_failure
from trichat._base.messages import Handled, Message, Refuse
from trichat._plugins.deadlines import Calls
from trichat._plugins.dispatch import Plugins
from trichat._plugins.message_walk import Answer

# Messages that wait for a watcher that reads slowly. It misses those beyond.
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
    """A message and its way through the plugins."""

    time: datetime
    message: Message
    steps: list[Step]

    def lines(self) -> Iterator[str]:
        """Yield it as text: the message as in the chat log, then a line for each plugin."""
        yield f"{self.time:%Y-%m-%dT%H:%M:%S.%fZ} {_said(self.message)}"
        width = max((len(step.plugin) for step in self.steps), default=0)
        for step in self.steps:
            yield f"  {step.plugin:<{width}}  {step.outcome:<9} {step.microseconds:>9.1f} µs  {step.detail}".rstrip()


class Watcher:
    """What one watcher has not read yet. A slow watcher misses messages; it never holds up the server."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[int, Traced]](TRACE_BACKLOG)
        self._missed = 0
        """How many messages it missed since the last one that it got."""

    def put(self, traced: Traced) -> None:
        """Hand it a message, if there is room."""
        try:
            self._send.send_nowait((self._missed, traced))
            self._missed = 0
        except trio.WouldBlock:
            self._missed += 1

    async def next(self) -> list[str]:
        """Wait for the next message, and return its lines; before them, how many were missed in between."""
        if self._missed and not self._receive.statistics().current_buffer_used:
            # Nobody has said anything since, so there is nothing else to tell.
            await trio.lowlevel.checkpoint()
            missed, self._missed = self._missed, 0
            return [_missing(missed)]
        missed, traced = await self._receive.receive()
        return [_missing(missed), *traced.lines()] if missed else [*traced.lines()]


class Tracer:
    """Asks about messages in place of `plugins` while somebody watches. Each `Plugins` has one at most."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._watchers: set[Watcher] = set()

    @property
    def asked(self) -> list[str]:
        """The plugins that are asked about a message, in this order."""
        return self._plugins.active.order()[hookspecs.on_message.__name__]

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Watch all messages that arrive during the block."""
        watcher = Watcher()
        self._watchers.add(watcher)
        self._plugins.trace_by(self._ask, self._ask_private)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            if not self._watchers:
                self._plugins.trace_by(None, None)

    async def _ask(self, client: object, message: Message, calls: Calls) -> Answer:
        """Ask the plugins about a message, and tell the watchers of it, even if that is cut short."""
        with self._traced(message) as timed:
            return await self._plugins.walk.ask_step_by_step(client, message, calls, timed)

    async def _ask_private(self, client: Any, other: Any, line: Message, calls: Calls) -> Answer:
        """Do the same for a private line. What it says is for nobody else, so the watchers are not told that."""
        with self._traced(line.with_text(""), tells_texts=False) as timed:
            return await self._plugins.walk.ask_private(client, other, line, calls, timed)

    @contextmanager
    def _traced(self, message: Message, *, tells_texts: bool = True) -> Iterator["_Timed"]:
        timed = _Timed(tells_texts)
        traced = Traced(datetime.now(UTC), message, timed.steps)
        try:
            yield timed
        finally:
            for watcher in self._watchers:
                watcher.put(traced)


class _Timed:
    """Times each step of one message, and notes what each made of it: the text too if it `tells_texts`."""

    def __init__(self, tells_texts: bool) -> None:
        self._tells_texts = tells_texts
        self.steps: list[Step] = []
        self._begun = 0
        self._plugin = ""
        self._asked = Message("")

    def begin(self, plugin: str, message: Message) -> None:
        self._plugin, self._asked = plugin, message
        self._begun = time.perf_counter_ns()

    def answered(self, answer: Answer | None) -> None:
        self._note(*_judge(answer, self._asked))

    def failed(self, error: BaseException) -> None:
        failure, _ = split_failure(error)
        if failure is None:
            self._note("cancelled", "")
        else:
            self._note("failed", sentences(failure.__cause__ or failure))

    def _note(self, outcome: str, detail: str) -> None:
        microseconds = (time.perf_counter_ns() - self._begun) / 1000
        self.steps.append(Step(self._plugin, outcome, microseconds, detail if self._tells_texts else ""))


def _judge(answer: Answer | None, asked: Message) -> tuple[str, str]:
    match answer:
        case Refuse(reason):
            return "refused", reason
        case Handled():
            return "consumed", ""
        case Message() if answer != asked:
            return "changed", _said(answer)
    return "passed", ""


def _said(message: Message) -> str:
    if message.rooms:
        return f"{message.room} {message.sentence()}"
    return f"{message.sender} to {message.about}, in private"


def _missing(count: int) -> str:
    return f"({count} message{'s' if count > 1 else ''} not shown: they came faster than they were read)"
