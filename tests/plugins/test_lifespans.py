"""The lifespans of the plugins: entered in order, left in the reverse order, whatever one of them does."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from lifespan_kit import (
    TIMEOUT,
    CrashingInBackground,
    Lifespan,
    hang,
    held,
    nothing,
    noting,
    raising,
    start,
    unexpected,
    with_background,
)

from trichat import Client, Message, Server, StartError, command, hookimpl
from trichat._base.failures import leaves
from trichat._base.shielded_service import shielded_service
from trichat._plugins.lifespans import Lifespans
from trichat.testing import running


@pytest.fixture
def events() -> list[str]:
    return []


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Entering and leaving.


async def test_they_are_entered_in_order_and_left_in_the_reverse_order(events: list[str]) -> None:
    async with held(("a", noting(events, "a")), ("b", noting(events, "b")), ("c", noting(events, "c"))):
        assert events == ["a in", "b in", "c in"]
    assert events[3:] == ["c out", "b out", "a out"]


async def test_each_is_entered_when_the_one_before_it_is(events: list[str], virtual_time: object) -> None:
    async def take_a_while() -> None:
        await trio.sleep(TIMEOUT - 1)

    await start(("slow", noting(events, "slow", entering=take_a_while)), ("quick", noting(events, "quick")))
    assert events[:2] == ["slow in", "quick in"]


async def test_each_is_left_when_the_one_after_it_was(events: list[str], virtual_time: object) -> None:
    async def take_a_while() -> None:
        await trio.sleep(TIMEOUT / 2 - 1)  # of the half that each of two has

    await start(("quick", noting(events, "quick")), ("slow", noting(events, "slow", leaving=take_a_while)))
    assert events[2:] == ["slow out", "quick out"]


async def test_each_lives_in_a_task_of_its_own_and_dies_in_it() -> None:
    tasks: dict[str, list[trio.lowlevel.Task]] = {"a": [], "b": []}

    @asynccontextmanager
    async def noting_its_task(name: str) -> AsyncIterator[None]:
        tasks[name].append(trio.lowlevel.current_task())
        yield
        tasks[name].append(trio.lowlevel.current_task())

    await start(("a", noting_its_task("a")), ("b", noting_its_task("b")))
    assert tasks["a"][0] is tasks["a"][1]
    assert tasks["b"][0] is tasks["b"][1]
    assert len({*tasks["a"], *tasks["b"], trio.lowlevel.current_task()}) == 3


async def test_no_plugins_need_no_lifespans() -> None:
    await start()


# A plugin that cannot start.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(OSError(28, "No space left on device"), "[Errno 28] No space left on device", id="one error"),
        pytest.param(
            FileNotFoundError(2, "No such file or directory", "log.txt"),
            "log.txt: No such file or directory",
            id="a file",
        ),
        pytest.param(ValueError(), "ValueError()", id="an error without a word"),
        pytest.param(
            ExceptionGroup("tasks", [ValueError("one"), ExceptionGroup("more", [OSError("two")])]),
            "one; two",
            id="errors of tasks",
        ),
    ],
)
async def test_a_plugin_that_raises_on_entering_refuses_the_start(
    events: list[str], error: Exception, reason: str
) -> None:
    with pytest.raises(StartError) as refused:
        await start(
            ("first", noting(events, "first")),
            ("second", noting(events, "second")),
            ("bad", noting(events, "bad", entering=raising(error))),
            ("later", noting(events, "later")),
        )
    assert str(refused.value) == f"plugin 'bad' cannot start: {reason}"
    assert refused.value.__cause__ is not None
    assert list(leaves(refused.value.__cause__)) == list(leaves(error))
    assert events == ["first in", "second in", "second out", "first out"]


async def test_what_is_no_lifespan_refuses_the_start(events: list[str]) -> None:
    with pytest.raises(StartError, match=r"^plugin 'odd' cannot start: .*'NoneType'.*context manager"):
        await start(("first", noting(events, "first")), ("odd", None))  # type: ignore[arg-type]
    assert events == ["first in", "first out"]


async def test_a_plugin_that_does_not_start_in_time_refuses_the_start(events: list[str], virtual_time: object) -> None:
    before = trio.current_time()
    with pytest.raises(StartError, match=r"^plugin 'hangs' did not start within 5 seconds$"):
        await start(("first", noting(events, "first")), ("hangs", noting(events, "hangs", entering=hang)))
    assert trio.current_time() - before == pytest.approx(TIMEOUT)
    assert events == ["first in", "first out"]


async def test_a_plugin_that_is_late_and_fails_over_it_refuses_the_start(virtual_time: object) -> None:
    async def clean_up_badly() -> None:
        try:
            await hang()
        finally:
            raise OSError("the database is locked")

    with pytest.raises(StartError, match=r"^plugin 'bad' "):
        await start(("bad", noting([], "bad", entering=clean_up_badly)))


async def test_the_time_to_start_is_counted_for_each(events: list[str], virtual_time: object) -> None:
    async def take_a_while() -> None:
        await trio.sleep(TIMEOUT - 1)

    await start(*((name, noting(events, name, entering=take_a_while)) for name in ("a", "b", "c")))
    assert events[:3] == ["a in", "b in", "c in"]


async def test_a_plugin_that_hangs_when_it_is_left_after_a_refused_start_is_cancelled(
    events: list[str], virtual_time: object
) -> None:
    before = trio.current_time()
    with pytest.raises(StartError, match="plugin 'bad' cannot start: oops"):
        await start(
            ("first", noting(events, "first")),
            ("hangs", noting(events, "hangs", leaving=hang)),
            ("bad", noting(events, "bad", entering=raising(ValueError("oops")))),
        )
    assert trio.current_time() - before == pytest.approx(TIMEOUT / 2)
    assert events == ["first in", "hangs in", "first out", "hangs out"]


# A plugin that crashes later.


async def test_a_plugin_whose_background_task_crashes_takes_down_only_itself(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    crash = trio.Event()
    error = ValueError("oops")
    crashed: list[str] = []

    async def crash_later() -> None:
        await crash.wait()
        raise error

    async with held(
        ("first", noting(events, "first")),
        ("bad", with_background(crash_later)),
        ("last", noting(events, "last")),
        on_crash=crashed.append,
    ):
        assert crashed == []
        crash.set()
        await trio.testing.wait_all_tasks_blocked()
        assert crashed == ["bad"]
        assert events == ["first in", "last in"]
    assert events[2:] == ["last out", "first out"]
    [record] = caplog.records
    assert record.getMessage() == "plugin 'bad': it crashed"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_a_plugin_may_crash_as_soon_as_it_is_entered(caplog: pytest.LogCaptureFixture) -> None:
    crashed: list[str] = []
    async with held(("bad", with_background(raising(ValueError("oops")))), on_crash=crashed.append):
        await trio.testing.wait_all_tasks_blocked()
    assert crashed == ["bad"]


async def test_a_plugin_that_fails_on_leaving_is_logged_and_the_others_are_left(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with held(
        ("first", noting(events, "first")),
        ("bad", noting(events, "bad", leaving=raising(OSError("oops")))),
        ("last", noting(events, "last")),
    ):
        pass
    assert events[3:] == ["last out", "bad out", "first out"]
    assert failures(caplog) == ["plugin 'bad' failed while it ended: oops"]


# A plugin that hangs on leaving.


@pytest.mark.parametrize(
    ("share", "grace", "first_left_at", "logged"),
    [
        pytest.param(
            3.0,
            5.0,
            1.5,
            ["plugin 'hangs' did not end within 1.5 seconds"],
            id="the others get their turn when its time is over",
        ),
        pytest.param(5.0, 2.0, 2.0, [], id="the shield is over first"),
    ],
)
async def test_a_plugin_that_hangs_on_leaving_is_cancelled_within_the_grace(
    virtual_time: object,
    caplog: pytest.LogCaptureFixture,
    share: float,
    grace: float,
    first_left_at: float,
    logged: list[str],
) -> None:
    left: dict[str, float] = {}

    @asynccontextmanager
    async def timed(name: str, leaving: Callable[[], Awaitable[None]] = nothing) -> AsyncIterator[None]:
        try:
            yield
            await leaving()
        finally:
            left[name] = trio.current_time()

    lifespans = Lifespans(
        [("first", timed("first")), ("hangs", timed("hangs", hang)), ("last", timed("last"))],
        timeout_of=lambda _: TIMEOUT,
        grace=share,
        on_crash=unexpected,
        entering=trio.CancelScope(),
    )
    async with shielded_service(lifespans.run, lifespans.stop, grace):
        stopped = trio.current_time()
    assert {name: when - stopped for name, when in left.items()} == {
        "last": pytest.approx(0),
        "first": pytest.approx(first_left_at),
        "hangs": pytest.approx(grace),
    }
    assert failures(caplog) == logged


# In a server.


class Bot:
    """A plugin that needs its lifespan, and notes what happens to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.crash = trio.Event()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        async with noting(self.events, "bot"), with_background(self._crash):
            yield

    async def _crash(self) -> None:
        await self.crash.wait()
        raise ValueError("oops")

    @hookimpl
    def on_message(self, client: Client, message: Message) -> None:
        self.events.append(f"asked about {message.text}")

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        self.events.append(f"{client.name} left")


async def test_a_server_leaves_the_lifespans_after_the_last_client_is_gone(virtual_time: object) -> None:
    bot = Bot()
    async with running([bot]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
    assert bot.events == ["bot in", "asked about hello", "alice left", "bot out"]


async def test_a_server_that_is_cancelled_leaves_the_lifespans_after_the_last_client_is_gone(
    virtual_time: object,
) -> None:
    bot = Bot()
    with trio.CancelScope() as scope:
        async with running([bot]) as chat:
            await chat.join("alice")
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert bot.events == ["bot in", "alice left", "bot out"]


async def test_in_a_server_a_plugin_that_crashed_refuses_what_it_is_asked(virtual_time: object) -> None:
    bot = Bot()
    async with running([bot]) as chat:
        alice = await chat.join("alice")
        bot.crash.set()
        await chat.settled()
        await alice.hears(  # as an operator
            "* the plugin 'bot': it crashed; it is told nothing any more, and refuses what it is asked"
        )
        await alice.say("hello", "hello?")
        await alice.hears("* not sent: the plugin 'bot' failed", "* not sent: the plugin 'bot' failed")
    assert bot.events == ["bot in", "bot out"]


async def test_a_server_does_not_start_without_a_plugin_that_refuses() -> None:
    class Refusing:
        @hookimpl
        def lifespan(self, server: Server) -> Lifespan:
            return noting([], "refusing", entering=raising(OSError("no such device")))

    bot = Bot()
    server = Server(plugins={"bot": bot, "modem": Refusing()}, listeners=[])
    with pytest.raises(StartError, match=r"^plugin 'modem' cannot start: no such device$"):
        await server.serve()
    assert bot.events == ["bot in", "bot out"]


@pytest.mark.parametrize(("cancelled_after", "lived"), [(0, []), (1, []), (2, ["one in", "one out"])])
async def test_a_start_that_is_cancelled_leaves_those_that_were_entered(
    events: list[str], virtual_time: object, cancelled_after: int, lived: list[str]
) -> None:
    async def take_a_while() -> None:
        await trio.sleep(1.5)

    slow = [(name, noting(events, name, entering=take_a_while)) for name in ("one", "two")]
    lifespans = Lifespans(
        slow, timeout_of=lambda _: TIMEOUT, grace=TIMEOUT, on_crash=unexpected, entering=trio.CancelScope()
    )
    with trio.fail_after(cancelled_after + 1), trio.CancelScope() as scope:
        scope.deadline = trio.current_time() + cancelled_after
        async with shielded_service(lifespans.run, lifespans.stop, TIMEOUT):
            pytest.fail("it was cancelled before")
    assert scope.cancelled_caught
    assert events == lived


async def test_where_entering_is_cancelled_those_that_were_entered_are_held_until_the_stop(
    events: list[str], virtual_time: object
) -> None:
    entering = trio.CancelScope()
    plugins = [
        ("a", noting(events, "a")),
        ("b", noting(events, "b")),
        ("hangs", noting(events, "hangs", entering=hang)),
    ]
    lifespans = Lifespans(plugins, timeout_of=lambda _: TIMEOUT, grace=TIMEOUT, on_crash=unexpected, entering=entering)
    entering.deadline = trio.current_time() + 1
    async with shielded_service(lifespans.run, lifespans.stop, TIMEOUT):
        assert events == ["a in", "b in"]
    assert events[2:] == ["b out", "a out"]


async def test_who_crashed_while_others_started_has_no_commands(virtual_time: object) -> None:
    class Crashing(CrashingInBackground):
        seconds = 0.1

        @command("mine", help="what crashed")
        def mine(self, client: Client) -> str:
            return "still here"

    class Slow:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            await trio.sleep(1)
            yield

    async with running({"crashing": Crashing(), "slow": Slow()}) as chat:
        assert "mine" not in chat.server.commands
        assert "help" in chat.server.commands


async def test_ctrl_c_beside_a_start_that_failed_is_not_hidden() -> None:
    @asynccontextmanager
    async def both() -> AsyncIterator[None]:
        raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("oops")])
        yield

    with pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True, flatten_subgroups=True):
        await start(("both", both()))
