"""`trichat replay`: reports what a plugin would have done with the messages in a chat log.

It calls only `on_message`, with one message at a time, since nobody is connected. Each sender is a stand-in client
with the same name, in the room of the message. The report counts what the plugin would have sent to it.
"""

import math
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator
from functools import partial
from io import DEFAULT_BUFFER_SIZE
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
from trichat._cli.replay_report import Report
from trichat._config.options import Config
from trichat._config.plugin_policy import KEYS
from trichat._fronts.front import Limits
from trichat._fronts.line.front import LineFront
from trichat._net.outbox import Outbox
from trichat._net.transport import Bytes, Transport
from trichat._plugins.discovery import Found, find_plugins, name_of
from trichat._plugins.loader import build_plugins, choose, choose_plugins, is_wanted
from trichat._plugins.log_path import log_path_of
from trichat._plugins.shadow import shadowing, shown
from trichat._server import Server, core_of

# The longest line that is read as a message, as in the chat log's own reader (`trichat_plugins/_log_file.py`).
LONGEST_LINE = 8 * 1024 * 1024

# The replay keeps the stand-ins of so many senders, with what the plugin has put into their `data`.
SENDERS = 10_000

# The address of every stand-in, because the log has no addresses.
NO_ADDRESS = "0.0.0.0"


class _Outcome:
    """The plugin's answer to one message, or its failure."""

    def __init__(self) -> None:
        self.answer: object = None
        self.failure: BaseException | None = None

    def begin(self, plugin: str, message: Message) -> None:
        """Record nothing: the plugin has not answered yet."""

    def answered(self, answer: object) -> None:
        self.answer = answer

    def failed(self, error: BaseException) -> None:
        self.failure = error.__cause__ or error


class _NoTransport(Transport):
    """The transport of a stand-in: it drops what is sent, and nothing ever arrives."""

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
    """Plays a log to a plugin.

    `plugin` is the name of an installed plugin or of one in `plugins_dir`, a `.py` file or a module. Without `log`,
    the replay reads the log that `config` names. Raises `TrichatError` if there is no such plugin or log.
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
        self._limits = Limits(config.server.max_line_bytes)
        # During a call the clock runs in real time, since the call may wait for the network. Between calls it jumps to
        # the time in the log.
        self._clock = MockClock(rate=1.0)
        self._first: int | None = None

    def run(self) -> Report:
        """Play the log to its end, or until Ctrl-C.

        Raises `TrichatError` if the plugin cannot start or has no `on_message`.
        """
        with TemporaryDirectory(prefix="trichat-") as folder:
            # The plugin must not mix what it stores here with what it has stored about the real chat.
            options = msgspec.structs.replace(self._config.server, data_dir=folder)
            config = msgspec.structs.replace(self._config, server=options)
            server = Server(config, plugins=self._plugins, listeners=[])
            if not core_of(server).plugins.active.implements(hookspecs.on_message):
                raise PluginError(f"plugin {self.report.plugin!r} has no on_message, so there is nothing to replay")
            with one_for_all():
                trio.run(self._play, server, clock=self._clock)
        return self.report

    async def _play(self, server: Server) -> None:
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async with trio.open_nursery() as serving:
                # The plugin's background tasks run in shadow, too.
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
            # If the plugin does not end, a second Ctrl-C ends the process.
            signal.signal(number, signal.SIG_DFL)

    async def _ask_all(self, server: Server) -> None:
        with _open(self.report.log) as file:
            for line in _lines(file):
                message = parse_log_line(line)
                if message is None:
                    self.report.others += 1
                elif message.kind == "said":
                    self._advance_clock_to(message.id)
                    await self._ask(server, message)
                # Lets Ctrl-C and the plugin's tasks in.
                await trio.lowlevel.checkpoint()

    def _advance_clock_to(self, id: int) -> None:
        if self._first is None:
            self._first = id - int(1_000_000 * trio.current_time())
        self._clock.jump(max(0.0, (id - self._first) / 1_000_000 - trio.current_time()))

    async def _ask(self, server: Server, message: Message) -> None:
        report = self.report
        report.messages += 1
        asked = message.with_id(0)  # as in a running server, where a message gets its id after on_message
        outcome = _Outcome()
        plugins = core_of(server).plugins
        with shadowing(partial(report.acted.add, message)), plugins.deadlines.calls() as calls:
            await plugins.walk.ask_step_by_step(self._sender(server, message), asked, calls, outcome)
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
            front = LineFront()
            connection = Connection(server, NO_ADDRESS, front.name, front.dialogue(self._limits), outbox)
        connection.name, connection.room = message.sender, message.room
        self._senders[message.sender] = connection
        if len(self._senders) > SENDERS:
            self._senders.popitem(last=False)
        return connection.client


def _alone(plugin: str, config: Config) -> tuple[str, Config, list[str]]:
    """Return the plugin's name, `config` reduced to this plugin, and the plugin as an extra unless it is installed."""
    installed = plugin in {found.name for found in find_plugins(config.server.plugins_dir)}
    name = plugin if installed else name_of(plugin)
    options = config.server if installed else msgspec.structs.replace(config.server, plugins_dir="")
    # Whether it runs, and what its failure does, matters only to a server.
    own = {
        key: value for key, value in config.plugins.get(name, {}).items() if key not in KEYS or key == "hook_timeout"
    }
    return name, msgspec.structs.replace(config, server=options, plugins={name: own}), [] if installed else [plugin]


def _log_of(config: Config) -> Path:
    """Return where the server with this configuration keeps its log. Faults of other plugins do not matter."""
    faults: list[str] = []
    for found in find_plugins(config.server.plugins_dir):
        if is_wanted(found, config):
            path = log_path_of(_built(found, config, faults))
            if path is not None:
                return path
    if faults:
        raise ConfigError(faults)
    raise StartError("no plugin keeps a log, or that plugin is turned off; name a log with --log FILE")


def _built(found: Found, config: Config, faults: list[str]) -> Collection[object]:
    """Build one plugin if it is turned on, or add to `faults` why it cannot be built."""
    try:
        choice = choose(found, config, faults)
        return build_plugins([] if choice is None else [choice], faults).values()
    except PluginError as error:
        faults.append(str(error))
        return ()


def _lines(log: BinaryIO) -> Iterator[bytes]:
    """Yield the lines without their ends; for one that is too long or has no end, an empty line."""
    while line := log.readline(LONGEST_LINE + 1):
        yield line[:-1] if line.endswith(b"\n") else b""
        while line and not line.endswith(b"\n"):
            line = log.readline(DEFAULT_BUFFER_SIZE)


def _open(log: Path) -> BinaryIO:
    try:
        return log.open("rb")
    except OSError as error:
        raise StartError(
            f"{log}: the log cannot be read ({error.strerror}); name another one with --log FILE"
        ) from None
