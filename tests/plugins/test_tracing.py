"""The trace: what each plugin made of each message, for whoever watches, at no cost to those who are watched."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import trio

from trichat import Client, Handled, Message, Refuse, hookimpl
from trichat._plugins.tracing import TRACE_BACKLOG, Traced, Watcher
from trichat._server import core_of
from trichat.testing import Chat, running

# None of the built-in plugins that are asked about messages.
ALONE = {"plugins": {name: {"enabled": False} for name in ("bye", "commands", "stop")}}

Answer = Message | Handled | Refuse | None


class Answering:
    """A plugin whose answer to a message is given."""

    def __init__(self, answer: Callable[[Message], Answer]) -> None:
        self._answer = answer

    @hookimpl
    def on_message(self, message: Message) -> Answer:
        return self._answer(message)


class Waiting:
    """A plugin that takes its time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @hookimpl
    async def on_message(self) -> None:
        await trio.sleep(self._seconds)


def fail(message: Message) -> None:
    raise ValueError("it is a Monday")


def passed(message: Message) -> None:
    return None


async def seen(watcher: Watcher) -> list[str]:
    """The next lines, without what differs from run to run: the date, and how long it took."""
    lines = await watcher.next()
    return [re.sub(r"^\S+Z |(?<=\w) +[\d.]+ µs", "", line).strip() for line in lines]


# What is told.


def exits(message: Message) -> Answer:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (passed, "passed"),
        (lambda message: message, "passed"),
        (lambda message: message.with_text("hello"), "passed"),
        (lambda message: message.with_text("ahoy"), "changed  lobby alice: ahoy"),
        (lambda message: Handled(), "consumed"),
        (lambda message: Refuse("not on a Monday"), "refused  not on a Monday"),
        (fail, "failed  it is a Monday"),
        (lambda message: 7, "failed  7 is not an answer to this hook"),
        (exits, "failed  3"),
    ],
)
async def test_it_tells_what_a_plugin_made_of_a_message(
    virtual_time: object, answer: Callable[[Message], Answer], told: str
) -> None:
    async with running({"clerk": Answering(answer)}, config=ALONE) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            assert await seen(watcher) == ["lobby alice: hello", f"clerk  {told}"]


async def test_plugins_are_told_in_the_order_in_which_they_were_asked_up_to_the_one_that_stopped_it(
    virtual_time: object,
) -> None:
    plugins = {
        "never_asked": Answering(passed),
        "strict": Answering(lambda message: Refuse("no")),
        "loud": Answering(lambda message: message.with_text(message.text.upper())),
        "calm": Answering(passed),
    }
    async with running(plugins, config=ALONE) as chat:
        assert core_of(chat.server).tracer.asked == ["calm", "loud", "strict", "never_asked"]
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            assert await seen(watcher) == [
                "lobby alice: hello",
                "calm    passed",
                "loud    changed  lobby alice: HELLO",
                "strict  refused  no",
            ]
        await alice.hears("* not sent: no")


async def test_a_message_has_the_date_at_which_it_came_and_each_plugin_the_time_that_it_took(
    virtual_time: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.perf_counter_ns", lambda: round(trio.current_time() * 1e9))
    async with running({"slow": Waiting(0.25)}, config=ALONE) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            message, step = await watcher.next()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z lobby alice: hello", message)
    assert re.fullmatch(r"  slow  passed +25000\d\.\d µs", step)


async def test_what_is_cut_short_is_told_as_well(virtual_time: object) -> None:
    async with running({"slow": Waiting(1)}, config=ALONE) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            await trio.sleep(0.5)
            [client] = chat.server.clients
            client.kick("enough")
            assert await seen(watcher) == ["lobby alice: hello", "slow  cancelled"]


async def test_a_plugin_that_takes_too_long_has_failed(virtual_time: object) -> None:
    async with running({"slow": Waiting(100)}, config=ALONE) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            assert await seen(watcher) == ["lobby alice: hello", "slow  failed  it took longer than hook_timeout (5 s)"]


async def test_a_plugin_whose_failure_is_skipped_is_skipped_while_somebody_watches_too(virtual_time: object) -> None:
    skipping = {"plugins": {"commands": {"enabled": False}, "clerk": {"on_error": "skip"}}}
    async with running({"clerk": Answering(fail)}, config=skipping) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            assert "clerk  failed  it is a Monday" in await seen(watcher)
        await alice.hears("alice: hello")


async def test_a_message_that_nobody_is_asked_about_is_told_too(virtual_time: object) -> None:
    async with running({"deaf": Deaf()}, config=ALONE) as chat:
        alice = await chat.join("alice")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say("hello")
            assert await seen(watcher) == ["lobby alice: hello"]


class Deaf:
    @hookimpl
    def on_join(self, client: Client) -> None: ...


# Who watches.


class Censor:
    """Decides about private lines."""

    @hookimpl
    def on_tell(self, text: str) -> str | Handled | Refuse | None:
        if text == "handle this":
            return Handled()
        if text == "fail":
            raise ValueError("a secret")
        return Refuse("no secrets") if text == "secret" else text.replace(":)", "smiles")


async def test_of_a_private_line_it_is_told_who_said_it_to_whom_and_nothing_else(virtual_time: object) -> None:
    async with running([Censor]) as chat:
        alice, _ = await chat.join("alice"), await chat.join("bob")
        with core_of(chat.server).tracer.watching() as watcher:
            await alice.say(*(f"/msg bob {text}" for text in ("hi", ":)", "secret", "handle this", "fail")))
            for outcome in ("passed", "changed", "refused", "consumed", "failed"):
                assert await seen(watcher) == ["alice to bob, in private", f"censor  {outcome}"]


async def test_what_was_said_before_and_after_is_not_told(chat: Chat, virtual_time: object) -> None:
    alice = await chat.join("alice")
    await alice.say("before")
    await alice.hears("alice: before")
    with core_of(chat.server).tracer.watching() as watcher:
        await alice.say("meanwhile")
        await alice.hears("alice: meanwhile")
    await alice.say("after")
    await alice.hears("alice: after")
    assert (await seen(watcher))[0] == "lobby alice: meanwhile"
    with trio.move_on_after(1):
        pytest.fail(f"it was told more: {await watcher.next()}")


async def test_several_may_watch_and_each_sees_everything(chat: Chat, virtual_time: object) -> None:
    alice = await chat.join("alice")
    tracer = core_of(chat.server).tracer
    with tracer.watching() as one:
        with tracer.watching() as other:
            await alice.say("both")
            assert await seen(one) == await seen(other)
        await alice.say("one")
        assert (await seen(one))[0] == "lobby alice: one"


async def test_when_nobody_watches_the_plugins_are_called_as_if_there_were_no_trace(chat: Chat) -> None:
    plugins = core_of(chat.server).plugins
    with core_of(chat.server).tracer.watching(), core_of(chat.server).tracer.watching():
        assert plugins.ask_message != plugins.walk.ask
    assert plugins.ask_message == plugins.walk.ask


# Who reads slowly.


def traced(text: str) -> Traced:
    return Traced(datetime.now(UTC), Message(text, "alice"), [])


async def test_who_reads_slowly_misses_some_and_is_told_where_and_how_many() -> None:
    watcher = Watcher()
    for number in range(TRACE_BACKLOG + 3):
        watcher.put(traced(f"{number}"))
    for number in range(TRACE_BACKLOG - 1):
        assert await seen(watcher) == [f"lobby alice: {number}"]
    watcher.put(traced("one more"))
    assert await seen(watcher) == [f"lobby alice: {TRACE_BACKLOG - 1}"]
    assert await seen(watcher) == [
        "(3 messages not shown: they came faster than they were read)",
        "lobby alice: one more",
    ]


async def test_who_has_missed_the_last_ones_is_told_so_without_waiting_for_another() -> None:
    watcher = Watcher()
    for number in range(TRACE_BACKLOG + 1):
        watcher.put(traced(f"{number}"))
    for _ in range(TRACE_BACKLOG):
        await watcher.next()
    assert await seen(watcher) == ["(1 message not shown: they came faster than they were read)"]


async def test_who_does_not_read_at_all_holds_nobody_up(chat: Chat, virtual_time: object) -> None:
    alice = await chat.join("alice")
    with core_of(chat.server).tracer.watching():
        for number in range(TRACE_BACKLOG + 100):
            await alice.say(f"{number}")
            await alice.hears(f"alice: {number}")
