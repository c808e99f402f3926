"""The plugins of a server: in which order they are called, and what their faults lead to."""

import gc
import inspect
import logging
import types
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
import trio
from client_kit import new_client
from dispatch_kit import HELLO, ask_message, noting, noting_later, tell_batch
from made_kit import Hook, Made, Place, nothing

from trichat import Client, Command, Handled, Message, PluginError, Refuse, Server, hookimpl, hookspecs
from trichat._base.errors import RequiredPluginFailed
from trichat._base.failures import Interruption
from trichat._config.plugin_policy import Policy
from trichat._plugins.dispatch import Plugins
from trichat.testing import running

TIMEOUT = 5.0


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(TIMEOUT)


@pytest.fixture
async def watched(plugins: Plugins, nursery: trio.Nursery, virtual_time: object) -> None:
    """The plugins' deadlines are kept, in virtual time."""
    await nursery.start(plugins.deadlines.watch)


@pytest.fixture
def client() -> Client:
    return new_client(Server(plugins={}, listeners=[]))


@pytest.fixture
def calls() -> list[str]:
    return []


class Panic(BaseException):
    """What some libraries raise, those in Rust for one: nothing that is caught by `except Exception`."""


def raising(error: BaseException) -> Hook:
    def hook() -> None:
        raise error

    return hook


def raising_later(error: BaseException) -> Hook:
    async def hook() -> None:
        await trio.lowlevel.checkpoint()
        raise error

    return hook


async def too_long() -> None:
    await trio.sleep(TIMEOUT + 0.5)


async def too_long_under_a_shield() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(TIMEOUT + 0.5)


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# Registration.


async def test_a_module_is_a_plugin(plugins: Plugins, client: Client) -> None:
    module = types.ModuleType("doorman")
    vars(module)["on_connect"] = hookimpl(lambda client: Refuse(f"not from {client.address}"))
    plugins.register("doorman", module)
    assert await plugins.ask(hookspecs.on_connect, client) == Refuse("not from 127.0.0.1")


def test_the_names_are_in_the_order_of_registration(plugins: Plugins) -> None:
    for name in ("b", "c", "a"):
        plugins.register(name, Made(on_reload=nothing))
    assert [each.name for each in plugins.active.registry] == ["b", "c", "a"]


def test_it_is_known_which_hooks_are_implemented(plugins: Plugins) -> None:
    assert not plugins.active.implements(hookspecs.history)
    plugins.register("log", Made(history=lambda room: []))
    assert plugins.active.implements(hookspecs.history)
    assert not plugins.active.implements(hookspecs.on_join)


def test_it_is_known_which_hooks_a_plugin_has(plugins: Plugins) -> None:
    plugins.register("one", Made(on_join=nothing, on_message=nothing))
    plugins.register("other", Made(on_message=nothing))
    assert sorted(plugins.active.registry.hooks_of("one")) == ["on_join", "on_message"]
    assert plugins.active.registry.hooks_of("other") == ["on_message"]
    assert plugins.active.registry.hooks_of("nobody") == []


# Order.


@pytest.mark.parametrize(
    ("registered", "called"),
    [
        pytest.param({"a": {}, "b": {}, "c": {}}, "cba", id="the last registered first"),
        pytest.param({"a": {"tryfirst": True}, "b": {}, "c": {}}, "acb", id="tryfirst before that"),
        pytest.param({"a": {"tryfirst": True}, "b": {"tryfirst": True}, "c": {}}, "bac", id="the last of two tryfirst"),
        pytest.param({"a": {}, "b": {}, "c": {"trylast": True}}, "bac", id="trylast behind that"),
        pytest.param(
            {"a": {}, "b": {"trylast": True}, "c": {"trylast": True}}, "abc", id="the last of two trylast last"
        ),
    ],
)
async def test_plugins_are_called_in_order(
    plugins: Plugins, client: Client, calls: list[str], registered: dict[str, Place], called: str
) -> None:
    for name, place in registered.items():
        note = noting(calls, name)
        plugins.register(name, Made(on_connect=note, on_message=note, on_disconnect=note, **place))
    await plugins.ask(hookspecs.on_connect, client)
    await ask_message(plugins, client)
    await plugins.tell(hookspecs.on_disconnect, client, "")
    assert "".join(calls) == 3 * called


@pytest.mark.parametrize(
    ("registered", "called"),
    [
        pytest.param({"a": {"required": True}, "b": {}, "c": {}}, "acb", id="required before all"),
        pytest.param(
            {"a": {"required": True, "trylast": True}, "b": {}, "c": {"tryfirst": True}},
            "acb",
            id="required before tryfirst",
        ),
        pytest.param(
            {"a": {"required": True, "tryfirst": True}, "b": {"required": True}, "c": {}},
            "abc",
            id="tryfirst among the required",
        ),
    ],
)
async def test_what_is_required_is_told_first_of_a_batch_and_of_nothing_else(
    plugins: Plugins, calls: list[str], client: Client, registered: dict[str, Place], called: str
) -> None:
    for name, place in registered.items():
        plugins.register(name, Made(on_broadcast=noting(calls, name), on_connect=noting(calls, name.upper()), **place))
    await tell_batch(plugins)
    assert "".join(calls) == called
    calls.clear()
    await plugins.ask(hookspecs.on_connect, client)
    order = sorted(registered, key=lambda name: (_rank(registered[name]), -ord(name)))
    assert calls == [name.upper() for name in order]


def _rank(place: Place) -> int:
    return {(True, False): 0, (False, False): 1, (False, True): 2}[
        place.get("tryfirst", False), place.get("trylast", False)
    ]


# Asking.


async def test_nobody_to_ask_is_no_answer(plugins: Plugins, client: Client) -> None:
    assert await plugins.ask(hookspecs.on_connect, client) is None


@pytest.mark.parametrize("note", [noting, noting_later], ids=["def", "async def"])
async def test_the_first_answer_wins_and_nobody_else_is_asked(
    plugins: Plugins, client: Client, calls: list[str], note: Callable[..., Hook]
) -> None:
    plugins.register("third", Made(on_connect=note(calls, "third", Refuse("no, says the third"))))
    plugins.register("second", Made(on_connect=note(calls, "second", Refuse("no, says the second"))))
    plugins.register("first", Made(on_connect=note(calls, "first", None)))
    assert await plugins.ask(hookspecs.on_connect, client) == Refuse("no, says the second")
    assert calls == ["first", "second"]


async def test_a_plain_def_may_return_what_is_awaited(plugins: Plugins, client: Client, calls: list[str]) -> None:
    later = noting_later(calls, "later", Refuse("no"))

    def hook() -> object:
        calls.append("at once")
        return later()

    plugins.register("both", Made(on_connect=hook))
    assert await plugins.ask(hookspecs.on_connect, client) == Refuse("no")
    assert calls == ["at once", "later"]


@pytest.mark.parametrize(
    "hook",
    [
        lambda: (),
        lambda room: [room],
        lambda before: [before],
        lambda before, room: (before, room),
        lambda room, after, before: (room, after, before),
        lambda before, after, room: (before, after, room),
    ],
)
async def test_a_hook_is_given_the_arguments_that_it_names(plugins: Plugins, hook: Callable[..., object]) -> None:
    plugins.register("log", Made(history=hook))
    answer = await plugins.ask(hookspecs.history, "lobby", 1, 9, 5, True)
    arguments = {"room": "lobby", "after": 1, "before": 9}
    assert answer == hook(**{name: arguments[name] for name in inspect.signature(hook).parameters})


FAULTS = {
    "def that raises": (raising(ValueError("oops")), "oops"),
    "async def that raises": (raising_later(ValueError("oops")), "oops"),
    "def that exits": (raising(SystemExit(3)), "3"),
    "async def that exits": (raising_later(SystemExit(3)), "3"),
    "def that panics": (raising(Panic("oops")), "oops"),
    "async def that panics": (raising_later(Panic("oops")), "oops"),
    "group of errors": (raising(ExceptionGroup("both", [ValueError("oops")])), "oops"),
    "overrun": (too_long, "it took longer than hook_timeout (5 s)"),
}
LATE = {"overrun that cannot be cut short": (too_long_under_a_shield, "it took longer than hook_timeout (5 s)")}


@pytest.mark.parametrize(("hook", "reason"), [*FAULTS.values(), *LATE.values()], ids=[*FAULTS, *LATE])
async def test_a_plugin_that_fails_refuses_what_it_is_asked(
    plugins: Plugins,
    client: Client,
    calls: list[str],
    caplog: pytest.LogCaptureFixture,
    watched: object,
    hook: Hook,
    reason: str,
) -> None:
    plugins.register("next", Made(on_connect=noting(calls, "next"), on_message=noting(calls, "next")))
    plugins.register("bad", Made(on_connect=hook, on_message=hook))
    assert await plugins.ask(hookspecs.on_connect, client) == Refuse("the plugin 'bad' failed")
    assert await ask_message(plugins, client) == Refuse("the plugin 'bad' failed")
    assert calls == []
    assert failures(caplog) == [
        f"plugin 'bad' failed in on_connect: {reason}",
        f"plugin 'bad' failed in on_message: {reason}",
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interruption(), pytest.fail.Exception("no")], ids=repr)
async def test_what_has_to_end_all_is_no_failure_of_a_plugin(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    plugins.register("bad", Made(on_connect=raising(error), on_message=raising_later(error)))
    with pytest.raises(type(error)):
        await plugins.ask(hookspecs.on_connect, client)
    with pytest.raises(type(error)):
        await ask_message(plugins, client)
    assert failures(caplog) == []


async def test_a_plugin_that_hangs_is_cancelled_when_its_time_is_over(
    plugins: Plugins, client: Client, watched: object
) -> None:
    plugins.register("hangs", Made(on_connect=too_long))
    before = trio.current_time()
    await plugins.ask(hookspecs.on_connect, client)
    assert trio.current_time() - before == pytest.approx(TIMEOUT)


async def test_only_the_plugin_that_was_late_has_failed(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture, watched: object
) -> None:
    plugins.register("loud", Made(on_message=lambda message: message.with_text("HELLO")))
    plugins.register("late", Made(on_message=too_long_under_a_shield), Policy(on_error="skip"))
    assert await ask_message(plugins, client) == HELLO.with_text("HELLO")
    assert failures(caplog) == ["plugin 'late' failed in on_message: it took longer than hook_timeout (5 s)"]


async def test_every_call_has_a_time_of_its_own(plugins: Plugins, client: Client, watched: object) -> None:
    async def slow() -> None:
        await trio.sleep(TIMEOUT - 1)

    for name in ("a", "b", "c"):
        plugins.register(name, Made(on_connect=slow))
    assert await plugins.ask(hookspecs.on_connect, client) is None


async def test_who_fails_in_each_batch_is_silenced_although_it_succeeds_in_another_hook(
    plugins: Plugins, client: Client
) -> None:
    # Otherwise somebody who leaves now and then would let it fill the log for ever.
    bad = Made(on_broadcast=raising(ValueError("oops")), on_disconnect=nothing)
    plugins.register("bad", bad, Policy(quarantine_after=3))
    for _ in range(3):
        await tell_batch(plugins)
        await plugins.tell(hookspecs.on_disconnect, client, "closed the connection")
    assert plugins.active.order()["on_broadcast"] == []


async def test_what_a_plugin_raised_is_logged_with_its_traceback(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError("oops")
    plugins.register("bad", Made(on_connect=raising(error)))
    await plugins.ask(hookspecs.on_connect, client)
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_error_of_the_world_is_logged_without_one(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    plugins.register("log", Made(on_connect=raising(OSError(28, "No space left on device", "chat_log.txt"))))
    await plugins.ask(hookspecs.on_connect, client)
    [record] = caplog.records
    assert record.getMessage().endswith(": chat_log.txt: No space left on device")
    assert not record.exc_info


@pytest.mark.parametrize("answer", [True, False, "no", 0, Handled(), HELLO, ValueError("oops")], ids=repr)
async def test_what_is_no_answer_to_the_hook_refuses(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    plugins.register("odd", Made(on_connect=lambda: answer))
    assert await plugins.ask(hookspecs.on_connect, client) == Refuse("the plugin 'odd' failed")
    assert failures(caplog) == [f"plugin 'odd' failed in on_connect: {answer!r} is not an answer to this hook"]


async def test_what_is_no_history_refuses(plugins: Plugins) -> None:
    plugins.register("odd", Made(history=lambda: 7))
    answer = await plugins.ask(hookspecs.history, "lobby", 0, 1, None, True)
    assert answer == Refuse("the plugin 'odd' failed")


@pytest.mark.parametrize("raise_it", [raising, raising_later], ids=["def", "async def"])
async def test_control_c_is_not_the_fault_of_a_plugin(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture, raise_it: Callable[[BaseException], Hook]
) -> None:
    plugins.register("busy", Made(on_connect=raise_it(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        await plugins.ask(hookspecs.on_connect, client)
    assert failures(caplog) == []


# Telling.


@pytest.mark.parametrize("note", [noting, noting_later], ids=["def", "async def"])
async def test_everyone_is_told_whatever_they_return(
    plugins: Plugins, client: Client, calls: list[str], note: Callable[..., Hook]
) -> None:
    plugins.register("second", Made(on_disconnect=note(calls, "second")))
    plugins.register("first", Made(on_disconnect=note(calls, "first", "an answer that nobody wants")))
    await plugins.tell(hookspecs.on_disconnect, client, "")
    assert calls == ["first", "second"]


async def test_telling_returns_what_failed_and_with_what(plugins: Plugins) -> None:
    def fail() -> None:
        raise OSError(2, "No such file", "motd.txt")

    plugins.register("good", Made(on_reload=nothing))
    plugins.register("bad", Made(on_reload=fail))
    assert await plugins.tell(hookspecs.on_reload) == ["the plugin 'bad' failed: motd.txt: No such file"]


def telling(plugins: Plugins, client: Client) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "on_broadcast": lambda: tell_batch(plugins),
        "on_disconnect": lambda: plugins.tell(hookspecs.on_disconnect, client, ""),
        "on_reload": lambda: plugins.tell(hookspecs.on_reload),
    }


@pytest.mark.parametrize("hook", ["on_broadcast", "on_disconnect", "on_reload"])
@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_plugin_that_fails_is_skipped_and_the_others_are_told(
    plugins: Plugins,
    client: Client,
    calls: list[str],
    caplog: pytest.LogCaptureFixture,
    watched: object,
    hook: str,
    fault: Hook,
    reason: str,
) -> None:
    plugins.register("second", Made({hook: noting(calls, "second")}))
    plugins.register("bad", Made({hook: fault}))
    plugins.register("first", Made({hook: noting(calls, "first")}))
    await telling(plugins, client)[hook]()
    assert calls == ["first", "second"]
    assert failures(caplog) == [f"plugin 'bad' failed in {hook}: {reason}"]


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_required_plugin_that_fails_in_on_broadcast_stops_the_telling(
    plugins: Plugins,
    calls: list[str],
    caplog: pytest.LogCaptureFixture,
    watched: object,
    fault: Hook,
    reason: str,
) -> None:
    plugins.register("log", Made(required=True, on_broadcast=fault))
    plugins.register("next", Made(on_broadcast=noting(calls, "next")))
    with pytest.raises(RequiredPluginFailed, match=r"^the plugin 'log' failed$"):
        await tell_batch(plugins)
    assert calls == []
    assert failures(caplog) == [f"plugin 'log' failed in on_broadcast: {reason}"]


async def test_what_comes_to_its_end_after_its_deadline_was_told_all_the_same(
    plugins: Plugins, calls: list[str], caplog: pytest.LogCaptureFixture, watched: object
) -> None:
    # A batch that is in the log has to be sent: a required plugin that has written it has not failed.
    plugins.register("log", Made(required=True, on_broadcast=too_long_under_a_shield))
    plugins.register("next", Made(on_broadcast=noting(calls, "next")))
    await tell_batch(plugins)
    assert calls == ["next"]
    assert caplog.messages == ["plugin 'log' in on_broadcast: it took longer than hook_timeout (5 s)"]


async def test_why_a_required_plugin_failed_comes_with_the_error(plugins: Plugins) -> None:
    error = OSError("no space left")
    plugins.register("log", Made(required=True, on_broadcast=raising(error)))
    with pytest.raises(RequiredPluginFailed) as failed:
        await tell_batch(plugins)
    assert failed.value.__cause__ is error


@pytest.mark.parametrize("hook", ["on_disconnect", "on_reload"])
async def test_a_required_plugin_is_skipped_in_the_other_hooks(
    plugins: Plugins, client: Client, calls: list[str], hook: str
) -> None:
    plugins.register("log", Made({hook: raising(ValueError("oops"))}, required=True))
    plugins.register("next", Made({hook: noting(calls, "next")}))
    await telling(plugins, client)[hook]()
    assert calls == ["next"]


# Cancellation.


async def waiting_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize("wait", [trio.sleep_forever, waiting_in_a_nursery], ids=["a task", "a nursery"])
@pytest.mark.parametrize("call", ["ask", "ask_message", "tell"])
async def test_cancellation_passes_through_and_is_no_failure(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture, wait: Hook, call: str
) -> None:
    plugins.register("waits", Made(on_connect=wait, on_message=wait, on_disconnect=wait))
    asking: dict[str, Callable[[], Awaitable[object]]] = {
        "ask": lambda: plugins.ask(hookspecs.on_connect, client),
        "ask_message": lambda: ask_message(plugins, client),
        "tell": lambda: plugins.tell(hookspecs.on_disconnect, client, ""),
    }
    ended = False
    with trio.CancelScope() as scope:
        scope.cancel()
        await asking[call]()
        ended = True
    assert scope.cancelled_caught
    assert not ended
    assert caplog.records == []


async def test_everyone_is_told_even_if_the_telling_is_cancelled(
    plugins: Plugins, client: Client, calls: list[str]
) -> None:
    async def waits() -> None:
        calls.append("begins")
        await trio.sleep_forever()
        calls.append("ends")

    plugins.register("last", Made(on_disconnect=noting(calls, "last")))
    plugins.register("waits, too", Made(on_disconnect=waits))
    plugins.register("between", Made(on_disconnect=noting(calls, "between")))
    plugins.register("waits", Made(on_disconnect=waits))
    with trio.CancelScope() as scope:
        scope.cancel()
        await plugins.tell(hookspecs.on_disconnect, client, "")
    assert scope.cancelled_caught
    assert calls == ["begins", "between", "begins", "last"]


async def test_a_plugin_that_fails_while_the_telling_is_cancelled_is_logged(
    plugins: Plugins, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    plugins.register("bad", Made(on_disconnect=raising(ValueError("oops"))))
    plugins.register("waits", Made(on_disconnect=trio.sleep_forever))
    with trio.CancelScope() as scope:
        scope.cancel()
        await plugins.tell(hookspecs.on_disconnect, client, "")
    assert scope.cancelled_caught
    assert failures(caplog) == ["plugin 'bad' failed in on_disconnect: oops"]


async def test_no_coroutine_is_left_unawaited(
    plugins: Plugins, client: Client, calls: list[str], watched: object
) -> None:
    async def ask_all() -> None:
        await plugins.ask(hookspecs.on_connect, client)
        await ask_message(plugins, client)
        with suppress(RequiredPluginFailed):
            await tell_batch(plugins)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for name, hook in {
            "next": noting_later(calls, "next"),
            "refuses": noting_later(calls, "refuses", Refuse("no")),
            "hangs": too_long,
        }.items():
            required = name == "hangs"
            plugins.register(name, Made(required=required, on_connect=hook, on_message=hook, on_broadcast=hook))
            await ask_all()
            with trio.CancelScope() as scope:
                scope.cancel()
                await ask_all()
        plugins.active.mark_crashed("hangs")
        await ask_all()
        gc.collect()
    assert calls == ["next"] * 3 + ["refuses"] * 3 + ["next"]
    assert [str(warning.message) for warning in warned] == []


# Contributions.

ROLL = Command("roll", "roll a die", lambda client, arguments: None)
FLIP = Command("flip", "flip a coin", lambda client, arguments: None)


def test_contributions_come_with_names_in_the_order_of_registration(plugins: Plugins) -> None:
    plugins.register("die", Made(trylast=True, commands=lambda: [ROLL]))
    plugins.register("nothing", Made(on_reload=nothing))
    plugins.register("coin", Made(tryfirst=True, commands=lambda: [FLIP]))
    assert list(plugins.contributions(hookspecs.commands)) == [("die", [ROLL]), ("coin", [FLIP])]


def test_a_plugin_that_fails_to_contribute_is_named(plugins: Plugins) -> None:
    error = ValueError("oops")
    plugins.register("bad", Made(commands=raising(error)))
    with pytest.raises(PluginError, match=r"^plugin 'bad' failed in commands: ValueError\('oops'\)$") as failed:
        list(plugins.contributions(hookspecs.commands))
    assert failed.value.__cause__ is error


def test_each_plugin_contributes_when_its_turn_comes(plugins: Plugins, calls: list[str]) -> None:
    plugins.register("first", Made(commands=noting(calls, "first", [])))
    plugins.register("second", Made(commands=noting(calls, "second", [])))
    contributions = plugins.contributions(hookspecs.commands)
    next(contributions)
    assert calls == ["first"]


# A plugin that crashed.


async def test_a_crashed_plugin_refuses_what_it_is_asked(
    plugins: Plugins, client: Client, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    note = noting(calls, "bot")
    plugins.register("bot", Made(on_connect=note, on_join=note, on_message=note, history=note))
    plugins.active.mark_crashed("bot")
    refusal = Refuse("the plugin 'bot' failed")
    assert await plugins.ask(hookspecs.on_connect, client) == refusal
    assert await plugins.ask(hookspecs.on_join, client) == refusal
    assert await plugins.ask(hookspecs.history, "lobby", 0, 1, None, True) == refusal
    assert await ask_message(plugins, client) == refusal
    assert calls == []
    assert "plugin 'bot' failed in on_connect: it crashed earlier, and refuses whatever it is asked" in failures(caplog)


@pytest.mark.parametrize("hook", ["on_broadcast", "on_disconnect", "on_reload"])
async def test_a_crashed_plugin_is_told_nothing(
    plugins: Plugins, client: Client, calls: list[str], caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    plugins.register("bot", Made({hook: noting(calls, "bot")}))
    plugins.register("other", Made({hook: noting(calls, "other")}))
    plugins.active.mark_crashed("bot")
    await telling(plugins, client)[hook]()
    assert calls == ["other"]
    assert failures(caplog) == []


async def test_a_required_plugin_that_crashed_stops_every_batch(plugins: Plugins, calls: list[str]) -> None:
    plugins.register("log", Made(required=True, on_broadcast=noting(calls, "log")))
    plugins.active.mark_crashed("log")
    for _ in range(2):
        with pytest.raises(RequiredPluginFailed, match="the plugin 'log' failed"):
            await tell_batch(plugins)
    assert calls == []


async def test_a_plugin_that_did_not_crash_is_asked_as_before(plugins: Plugins, client: Client) -> None:
    plugins.register("bot", Made(on_disconnect=lambda: None))
    plugins.register("greeter", Made(on_message=lambda message: message.with_text("good day")))
    plugins.active.mark_crashed("bot")
    assert await ask_message(plugins, client) == HELLO.with_text("good day")


def test_lifespans_and_commands_keep_to_before_and_after_too(plugins: Plugins) -> None:
    for name, after in (("one", ["two"]), ("two", [])):
        plugin = Made(commands=noting([], name, []))
        plugin.after = after  # type: ignore[attr-defined]
        plugins.register(name, plugin)
    assert [name for name, _ in plugins.contributions(hookspecs.commands)] == ["two", "one"]


async def test_nobody_is_told_of_a_batch_that_a_required_plugin_was_cancelled_in(virtual_time: object) -> None:
    told: list[str] = []

    class Keeper:
        required = True

        @hookimpl
        async def on_broadcast(self, messages: Sequence[Message]) -> None:
            if messages[-1].text == "hello":
                await trio.sleep_forever()

    class Bridge:
        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            told.extend(message.text or message.sentence() for message in messages)

    config = {"server": {"hook_timeout": 100}}
    async with running({"keeper": Keeper(), "bridge": Bridge()}, config) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        chat.server.stop()  # which has less time than the keeper takes
    assert "alice joined" in told
    assert "hello" not in told


async def test_a_cancellation_does_not_take_the_place_of_ctrl_c(plugins: Plugins, virtual_time: object) -> None:
    class Interrupted:
        @hookimpl
        async def on_reload(self) -> None:
            raise BaseExceptionGroup("x", [KeyboardInterrupt()])

    class Waiting:
        @hookimpl
        async def on_reload(self) -> None:
            await trio.sleep(1)

    plugins.register("told last", Waiting())
    plugins.register("told first", Interrupted())
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True):
            await plugins.tell(hookspecs.on_reload)
