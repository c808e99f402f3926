"""`trichat replay`: what a plugin would have made of the messages in a chat log.

Only `on_message` is asked, one message after the other: nobody is there who could hear an answer. Each sender is a
stand-in of the same name, in the room of the message, and what is sent to it is noted.
"""

import math
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec
import trio
from trio.testing import MockClock

from trichat import hookspecs
from trichat._base.errors import ConfigError, PluginError, StartError
from trichat._base.failures import one_for_all, sentences
from trichat._base.log_lines import parse_log_line
from trichat._base.messages import Handled, Message, Refuse
from trichat._chat.client import Client, Connection
from trichat._config.options import Config
from trichat._config.plugin_policy import KEYS
from trichat._fronts.line.wire import LineWire
from trichat._net.outbox import Outbox
from trichat._net.transport import Bytes, Transport
from trichat._plugins.discovery import Found, find_plugins, name_of
from trichat._plugins.loader import build_plugins, choose, choose_plugins, is_wanted
from trichat._plugins.log_path import log_path_of
from trichat._plugins.shadow import shadowing, shown
from trichat._server import Server, core_of

# Examples of each kind that are kept.
EXAMPLES = 3

# A line of the log is no longer: a message of the largest `max_line_bytes`, its name and its date. What is longer was
# written by no server.
LONGEST_LINE = 2 * 1024 * 1024

# Senders whose stand-ins are kept, with what the plugin has put into their `data`.
SENDERS = 10_000

# What the stand-in of a sender has instead of an address: the log has none.
NO_ADDRESS = "0.0.0.0"


@dataclass
class Tally:
    """How often something came about, and how it was the first times."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, message: Message | None, outcome: str = "") -> None:
        """Count one more: what became of a message, or without one, what a task in the background did."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            said = "in the background"
            if message is not None:
                said = f"{message.time:%Y-%m-%d %H:%M:%S} {message.sender}: {shown(message.text)}"
            self.examples.append(f"{said} - {outcome}" if outcome else said)


@dataclass
class Report:
    """What became of the messages so far."""

    plugin: str
    log: Path
    messages: int = 0
    others: int = 0
    """Lines of the log that are no messages: written by nobody we know, or not to their end."""
    interrupted: bool = False
    refused: Tally = field(default_factory=Tally)
    changed: Tally = field(default_factory=Tally)
    handled: Tally = field(default_factory=Tally)
    acted: Tally = field(default_factory=Tally)
    """What it would have done besides answering: sent, said, kicked."""
    failed: Tally = field(default_factory=Tally)

    def __str__(self) -> str:
        lines = [f"{self.plugin}: {self.messages} messages of {self.log}"]
        if self.interrupted:
            lines.append("interrupted: this is not all of it")
        if self.others:
            lines.append(f"lines that are no messages: {self.others}")
        for tally, title in (
            (self.refused, "would have refused"),
            (self.changed, "would have changed"),
            (self.handled, "would have handled"),
            (self.acted, "would have acted"),
            (self.failed, "failed"),
        ):
            lines += [f"{title}: {tally.count}", *(f"    {example}" for example in tally.examples)]
            if tally.count > len(tally.examples):
                lines.append(f"    and {tally.count - len(tally.examples)} more")
        return "\n".join(lines)


class _Outcome:
    """What the one plugin answers to a message, or what it fails with."""

    def __init__(self) -> None:
        self.answer: object = None
        self.failure: BaseException | None = None

    def begin(self, plugin: str, message: Message) -> None:
        """Nothing is to be noted yet."""

    def answered(self, answer: object) -> None:
        self.answer = answer

    def failed(self, error: BaseException) -> None:
        self.failure = error.__cause__ or error


class _NoTransport(Transport):
    """The way to a stand-in: nothing arrives, and nothing comes back."""

    address = NO_ADDRESS

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    def send_nowait(self, data: Bytes) -> int:
        return len(data)

    async def send_some(self, data: Bytes) -> int:
        await trio.lowlevel.checkpoint()
        return len(data)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


class LogReplay:
    """A plugin, and the log that it is played.

    `plugin` is the name of an installed plugin or of one in `plugins_dir`, a `.py` file or a module. Without `log`, it
    is the one that `config` names. Raises `TrichatError` if there is no such plugin or log.
    """

    def __init__(self, plugin: str, config: Config, log: Path | None = None) -> None:
        name, self._config, extra = _alone(plugin, config)
        faults: list[str] = []
        choices = [choice for choice in choose_plugins(self._config, extra, faults) if choice.name == name]
        self._plugins = build_plugins(choices, faults)
        if faults:
            raise ConfigError(faults)
        self.report = Report(name, log or _log_of(config))
        _open(self.report.log).close()
        self._senders: OrderedDict[str, Connection] = OrderedDict()
        self._wire = LineWire(config.server.max_line_bytes)
        # A call has real time, as it may wait for the network; in between, it is the time that the log says.
        self._clock = MockClock(rate=1.0)
        self._first: int | None = None

    def run(self) -> Report:
        """Play the log, to its end or to Ctrl-C. Raises `TrichatError` if the plugin cannot be asked or start."""
        with TemporaryDirectory(prefix="trichat-") as folder:
            # What the plugin keeps of this is not to be found among what it keeps of the chat.
            options = msgspec.structs.replace(self._config.server, data_dir=folder)
            config = msgspec.structs.replace(self._config, server=options)
            server = Server(config, plugins=self._plugins, listeners=[])
            if not core_of(server).plugins.active.implements(hookspecs.on_message):
                raise PluginError(f"plugin {self.report.plugin!r} has no on_message: there is nothing to ask it")
            with one_for_all():
                trio.run(self._play, server, clock=self._clock)
        return self.report

    async def _play(self, server: Server) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async with trio.open_nursery() as serving:
                # Its tasks in the background are in shadow, too.
                with shadowing(partial(self.report.acted.add, None)):
                    await serving.start(server.serve)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._end_at, signals, nursery.cancel_scope)
                    await self._ask_all(server)
                    nursery.cancel_scope.cancel()
                server.stop()

    async def _end_at(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for number in signals:
            self.report.interrupted = True
            scope.cancel()
            # A plugin that does not end is ended by the second one.
            signal.signal(number, signal.SIG_DFL)

    async def _ask_all(self, server: Server) -> None:
        with _open(self.report.log) as file:
            for line in iter(partial(file.readline, LONGEST_LINE), b""):
                message = parse_log_line(line[:-1]) if line.endswith(b"\n") else None
                if message is None:
                    self.report.others += 1
                elif message.kind == "said":
                    self._go_on_to(message.id)
                    await self._ask(server, message)
                # For Ctrl-C, and for tasks of the plugin whose time has come.
                await trio.lowlevel.checkpoint()

    def _go_on_to(self, id: int) -> None:
        if self._first is None:
            self._first = id - int(1_000_000 * trio.current_time())
        self._clock.jump(max(0.0, (id - self._first) / 1_000_000 - trio.current_time()))

    async def _ask(self, server: Server, message: Message) -> None:
        report = self.report
        report.messages += 1
        asked = message.with_id(0)  # as it is live: its place in the order comes later
        outcome = _Outcome()
        plugins = core_of(server).plugins
        with shadowing(partial(report.acted.add, message)), plugins.deadlines.calls() as calls:
            await plugins.ask_step_by_step(self._sender(server, message), asked, calls, outcome)
        if outcome.failure is not None:
            report.failed.add(message, shown(sentences(outcome.failure)))
            return
        match outcome.answer:
            case Refuse(reason=reason):
                report.refused.add(message, shown(reason))
            case Message(text=text) if outcome.answer != asked:
                report.changed.add(message, shown(text))
            case Handled():
                report.handled.add(message)

    def _sender(self, server: Server, message: Message) -> Client:
        connection = self._senders.pop(message.sender, None)
        if connection is None:
            outbox = Outbox(_NoTransport(), limit=0, send_timeout=math.inf, give_up=lambda _: None)
            connection = Connection(server, NO_ADDRESS, self._wire, outbox)
        connection.name, connection.room = message.sender, message.room
        self._senders[message.sender] = connection
        if len(self._senders) > SENDERS:
            self._senders.popitem(last=False)
        return connection.client


def _alone(plugin: str, config: Config) -> tuple[str, Config, list[str]]:
    """Return the plugin's name, what `config` says of it alone, and what to look for besides."""
    installed = plugin in {found.name for found in find_plugins(config.server.plugins_dir)}
    name = plugin if installed else name_of(plugin)
    options = config.server if installed else msgspec.structs.replace(config.server, plugins_dir="")
    # What it does when it fails, and whether it runs, is for the server.
    own = {
        key: value for key, value in config.plugins.get(name, {}).items() if key not in KEYS or key == "hook_timeout"
    }
    return name, msgspec.structs.replace(config, server=options, plugins={name: own}), [] if installed else [plugin]


def _log_of(config: Config) -> Path:
    """Return where the server of this configuration keeps its log. What is wrong with other plugins does not matter."""
    faults: list[str] = []
    for found in find_plugins(config.server.plugins_dir):
        if is_wanted(found, config):
            path = log_path_of(_built(found, config, faults))
            if path is not None:
                return path
    if faults:
        raise ConfigError(faults)
    raise StartError("no plugin keeps a log, or it is turned off; name one with --log FILE")


def _built(found: Found, config: Config, faults: list[str]) -> Collection[object]:
    """Make one plugin, if it is on, or add to `faults` why it cannot be made."""
    try:
        choice = choose(found, config, faults)
        return build_plugins([] if choice is None else [choice], faults).values()
    except PluginError as error:
        faults.append(str(error))
        return ()


def _open(log: Path) -> BinaryIO:
    try:
        return log.open("rb")
    except OSError as error:
        raise StartError(
            f"{log}: the log cannot be read ({error.strerror}); name another one with --log FILE"
        ) from None
