"""A plugin that keeps everybody waiting is named while it does. In real time: it is the loop itself that hangs."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count, takewhile

import pytest
import trio

from trichat import Message, hookimpl
from trichat._base.loop_observer import LONGEST
from trichat._ops.blocking_watchdog import PERIOD, Watchdog
from trichat._plugins.dispatch import Plugins

# Seconds until somebody has to be named; the test continues as soon as that has happened.
PATIENCE = 20.0


class Named(logging.Handler):
    """Whoever is named, while it happens."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        # No threading.Event: to ask one is a call, and could be what is on the stack when somebody looks.
        self._is_complete = False

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self.lines.append(line)
        # On a machine that stood still for a moment, somebody else may be named before.
        if " in Named.grind: " in line:
            self._is_complete = True

    def grind(self) -> None:
        """Keep everybody waiting, until it is named for that."""
        end = time.perf_counter() + PATIENCE
        while not self._is_complete and time.perf_counter() < end:
            sum(range(1000))


@pytest.fixture
def named() -> Iterator[Named]:
    handler = Named()
    logger = logging.getLogger("trichat.plugins")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class Mill:
    """A plugin; its file is this one."""

    def __init__(self, named: Named) -> None:
        self._named = named

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        self._named.grind()

    @hookimpl
    async def on_reload(self) -> None:
        """Take long, and let others run all the time."""
        end = time.perf_counter() + 2 * LONGEST
        for _ in takewhile(lambda _: time.perf_counter() < end, count()):
            await trio.lowlevel.checkpoint()


@pytest.fixture
def mill(named: Named) -> Mill:
    return Mill(named)


def watchdog_of(mill: Mill) -> Watchdog:
    plugins = Plugins(hook_timeout=5)
    plugins.register("mill", mill)
    return Watchdog(lambda: plugins.active.files)


def watched(make: Callable[[], Watchdog], function: Callable[..., Awaitable[object]], *args: object) -> None:
    async def main() -> None:
        with make().watching():
            await function(*args)

    trio.run(main)


def test_who_keeps_everybody_waiting_is_named_with_the_line(mill: Mill, named: Named) -> None:
    watched(partial(watchdog_of, mill), mill.on_message, Message("hello", sender="alice"))
    line, *stack = named.lines[-1].splitlines()
    assert line.startswith(
        "plugin 'mill' has blocked the whole server for more than 0.2 s, at test_blocking_watchdog.py:"
    )
    assert "in Named.grind: " in line
    assert [entry.rpartition(" in ")[2] for entry in stack[-4::2]] == ["on_message", "grind"]
    assert stack[-3].strip() == "self._named.grind()"


def test_who_lets_others_go_on_is_not(mill: Mill, named: Named) -> None:
    watched(partial(watchdog_of, mill), mill.on_reload)
    assert named.lines == []


def test_each_call_is_named_once(mill: Mill, named: Named) -> None:
    async def main() -> None:
        await mill.on_message(Message("hello", sender="alice"))
        # Named by now: it may take as long again, in the same call, and nobody hears of it a second time.
        end = time.perf_counter() + 2 * LONGEST
        while time.perf_counter() < end:
            sum(range(1000))

    watched(partial(watchdog_of, mill), main)
    assert len(named.lines) == 1


def test_nobody_is_named_who_is_no_plugin(named: Named) -> None:
    async def main() -> None:
        end = time.perf_counter() + 2 * LONGEST
        while time.perf_counter() < end:
            sum(range(1000))

    watched(lambda: Watchdog(dict), main)
    assert named.lines == []


def test_a_plugin_that_came_later_is_named_as_well(named: Named) -> None:
    files: dict[str, str] = {}

    async def main() -> None:
        files[__file__] = "successor"
        named.grind()

    watched(lambda: Watchdog(lambda: dict(files)), main)
    assert "plugin 'successor'" in named.lines[-1]


class Wakes(trio.abc.Instrument):
    """How often the loop woke up."""

    def __init__(self) -> None:
        self.count = 0

    def after_io_wait(self, timeout: float) -> None:
        self.count += 1


def test_a_loop_in_which_no_plugin_works_is_left_in_peace() -> None:
    async def main() -> None:
        with Watchdog(lambda: {"plugin.py": "plugin"}).watching():
            before = wakes.count
            await trio.sleep(4 * PERIOD)
            assert wakes.count == before + 1

    wakes = Wakes()
    trio.run(main, instruments=[wakes])
