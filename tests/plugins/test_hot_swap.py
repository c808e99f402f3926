"""A plugin takes the place of another one while everybody stays connected, or the other one keeps running."""

import gc
import logging
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from trichat import Client, Message, PluginError, Server, StartError, command, hookimpl
from trichat._config.plugin_policy import Policy
from trichat._plugins.lifespans import SETTLING
from trichat._server import core_of
from trichat.testing import Chat, running

# What operators are told, and then what becomes of a message.
CRASHED = "* the plugin 'filter': it crashed; it refuses what it is asked"
REFUSED = "* not sent: the plugin 'filter' failed"

pytestmark = pytest.mark.usefixtures("virtual_time")


class Filter:
    """Says what was done in `deeds`, and changes messages by its mark."""

    def __init__(self, mark: str, deeds: list[str], *, seconds: float = 0.0) -> None:
        self.mark = mark
        self.deeds = deeds
        self.seconds = seconds

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self.deeds.append(f"{self.mark} enters")
        server.start_soon(self.rest)
        yield
        self.deeds.append(f"{self.mark} leaves")

    async def rest(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.deeds.append(f"{self.mark}: its task ends")

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        await trio.sleep(self.seconds)
        return message if message.text.startswith("/") else message.with_text(message.text + self.mark)

    @command("mark", help="what marks messages")
    def show(self, client: Client) -> str:
        return f"mark: {self.mark}"


class Unable(Filter):
    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        raise OSError("no space left")
        yield


class Stuck(Filter):
    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        await trio.sleep_forever()
        yield


@pytest.fixture
def deeds() -> list[str]:
    return []


@asynccontextmanager
async def with_filter(plugin: object, **others: object) -> AsyncIterator[Chat]:
    plugins: dict[str, object] = {"filter": plugin, **others}
    async with running(plugins) as chat:
        yield chat


async def test_the_next_message_is_for_the_new_one(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello!")
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        await alice.say("/mark", "hello")
        await alice.hears("* mark: ?")
        await alice.hears("alice: hello?")
        await alice.hears_nothing()
    assert deeds == [
        *["! enters", "!: its task ends", "! leaves"],
        *["? enters", "?: its task ends", "? leaves"],
    ]


async def test_calls_under_way_come_to_their_end_and_later_ones_wait_for_the_new_one(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds, seconds=2)) as chat, trio.open_nursery() as nursery:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("early")
        await chat.settled()
        nursery.start_soon(chat.server.replace_plugin, "filter", Filter("?", deeds))
        await trio.sleep(1)
        await bob.say("late")
        await chat.settled()
        assert deeds == ["! enters"]
        await trio.sleep(1)
        await bob.hears("alice: early!")
        await bob.hears("bob: late?")


async def test_a_command_under_way_comes_to_its_end_too(deeds: list[str]) -> None:
    class Slow:
        @command("slow", help="take a while")
        async def slow(self, client: Client) -> str:
            await trio.sleep(2)
            deeds.append("slow ends")
            return "done"

    async with with_filter(Slow()) as chat:
        alice = await chat.join("alice")
        await alice.say("/slow")
        await chat.settled()
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        assert deeds == ["slow ends", "? enters"]
        await alice.hears("* done")
        await alice.say("/slow")
        await alice.hears("* there is no command /slow; a space in front of the slash makes it text")


async def test_a_command_that_waits_for_what_it_says_is_not_waited_for_in_vain(deeds: list[str]) -> None:
    class Herald(Filter):
        @command("tell", help="tell the room")
        async def tell(self, client: Client) -> str:
            await trio.sleep(2)
            said = await client.say("hear, hear")
            return f"said with an id: {isinstance(said, Message)}"

        @hookimpl
        async def on_broadcast(self, messages: Sequence[Message]) -> None:
            await trio.sleep(0.1)

    async with with_filter(Herald("!", deeds)) as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")
        await alice.say("/tell")
        await chat.settled()
        begun = trio.current_time()
        nursery.start_soon(chat.server.replace_plugin, "filter", Herald("?", deeds))
        await alice.hears("alice: hear, hear!", "* said with an id: True")
        await alice.say("hello")
        await alice.hears("alice: hello?")
        assert trio.current_time() - begun < 3


async def test_what_a_walk_has_begun_goes_on_with_the_new_one(deeds: list[str]) -> None:
    # The first plugin of the walk waits while the second one is replaced: it must not be called any more.
    gate = trio.Event()

    class Waits:
        @hookimpl(tryfirst=True)
        async def on_message(self) -> None:
            await gate.wait()

    async with with_filter(Filter("!", deeds), waits=Waits()) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        gate.set()
        await alice.hears("alice: hello?")


async def test_one_that_has_fewer_hooks_is_not_asked_for_the_others(deeds: list[str]) -> None:
    class Quiet:
        @hookimpl
        def on_reload(self) -> None: ...

    async with with_filter(Filter("!", deeds, seconds=1)) as chat, trio.open_nursery() as nursery:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("early")
        await chat.settled()
        nursery.start_soon(chat.server.replace_plugin, "filter", Quiet())
        await chat.settled()
        await bob.say("late")
        await bob.hears("alice: early!")
        await bob.hears("bob: late")
        await bob.say("/mark")
        await bob.hears("* there is no command /mark; a space in front of the slash makes it text")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        pytest.param(Unable("?", []), "plugin 'filter' cannot start: no space left", id="raises"),
        pytest.param(Stuck("?", []), "plugin 'filter' did not start within 5 seconds", id="hangs"),
    ],
)
async def test_the_old_one_goes_on_if_the_new_one_cannot_start(deeds: list[str], new: Filter, said: str) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        with pytest.raises(StartError) as failed:
            await chat.server.replace_plugin("filter", new)
        assert str(failed.value).startswith(said)
        await alice.say("/mark", "hello")
        await alice.hears("* mark: !")
        await alice.hears("alice: hello!")
        assert deeds == ["! enters", "!: its task ends", "! leaves", "! enters"]


class Misspelled:
    @hookimpl
    def on_mesage(self) -> None: ...


class Clashing:
    @command("help", help="another one")
    def help(self, client: Client) -> str:
        return ""


class Odd:
    @hookimpl
    def lifespan(self) -> None:
        raise ValueError("oops")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Misspelled(), "unknown hook 'on_mesage'"),
        (Clashing(), "both have the command /help"),
        (SimpleNamespace(), "it has no hooks; is @hookimpl missing?"),
    ],
)
async def test_what_is_not_made_as_it_has_to_be_disturbs_nobody(deeds: list[str], new: object, said: str) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        with pytest.raises(PluginError, match=said):
            await chat.server.replace_plugin("filter", new)
        await alice.say("hello")
        await alice.hears("alice: hello!")
        assert deeds == ["! enters"]


async def test_there_has_to_be_somebody_to_replace(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        with pytest.raises(PluginError, match="there is no plugin 'fliter' that another one could replace"):
            await chat.server.replace_plugin("fliter", Filter("?", deeds))
    with pytest.raises(RuntimeError, match="not running"):
        await chat.server.replace_plugin("filter", Filter("?", deeds))


async def test_if_neither_can_start_the_plugin_has_crashed(deeds: list[str], caplog: pytest.LogCaptureFixture) -> None:
    class Once(Filter):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            if deeds:
                raise OSError("the port is taken")
            deeds.append("enters")
            yield

    async with with_filter(Once("!", deeds)) as chat:
        alice = await chat.join("alice")
        both = "cannot start: no space left; and the previous version cannot start again: .* the port is taken"
        with pytest.raises(PluginError, match=both):
            await chat.server.replace_plugin("filter", Unable("?", deeds))
        await alice.hears(CRASHED)
        await alice.say("hello")
        await alice.hears(REFUSED)
        # And it can be mended.
        deeds.clear()
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        await alice.say("hello")
        await alice.hears("alice: hello?")


async def test_one_that_has_crashed_can_be_replaced(deeds: list[str]) -> None:
    class Crashes(Filter):
        async def rest(self) -> None:
            await trio.sleep(1)
            raise ValueError("oops")

    async with with_filter(Crashes("!", deeds)) as chat:
        alice = await chat.join("alice")
        await trio.sleep(2)
        await alice.hears(CRASHED)
        with pytest.raises(StartError):
            await chat.server.replace_plugin("filter", Unable("?", deeds))
        await alice.say("hello")
        await alice.hears(REFUSED)
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        await alice.say("hello")
        await alice.hears("alice: hello?")


async def test_the_old_one_goes_on_if_the_new_one_crashes_as_soon_as_it_has_started(deeds: list[str]) -> None:
    class Crashes(Filter):
        async def rest(self) -> None:
            raise OSError("the port is taken")

    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        with pytest.raises(StartError, match="plugin 'filter' crashed as soon as it had started"):
            await chat.server.replace_plugin("filter", Crashes("?", deeds))
        # Nobody is told that a plugin has crashed if it keeps running.
        await alice.say("/mark", "hello")
        await alice.hears("* mark: !", "alice: hello!")


async def test_a_new_version_that_ignores_its_deadline_holds_nobody_up(
    deeds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Shielded(Filter):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            with trio.CancelScope(shield=True):
                await trio.sleep(500)
            yield

    async with with_filter(Filter("!", deeds)) as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")

        async def replace() -> None:
            with pytest.raises(StartError, match="plugin 'filter' did not start within 5 seconds"):
                await chat.server.replace_plugin("filter", Shielded("?", deeds))

        nursery.start_soon(replace)
        await chat.settled()
        await alice.say("hello")
        await trio.sleep(7)
        await alice.hears("alice: hello!")
        assert "plugin 'filter' is still starting although it was cancelled" in caplog.text
        await trio.sleep(500)


async def test_a_new_version_that_cannot_start_does_not_stop_the_server_whatever_its_policy(deeds: list[str]) -> None:
    class Crashes(Filter):
        async def rest(self) -> None:
            raise OSError("the port is taken")

    async with running({"filter": Filter("!", deeds)}, {"plugins": {"filter": {"on_error": "stop"}}}) as chat:
        alice = await chat.join("alice")
        with pytest.raises(StartError, match="crashed as soon as it had started"):
            await chat.server.replace_plugin("filter", Crashes("?", deeds))
        await alice.say("hello")
        await alice.hears("alice: hello!")


async def test_a_replacement_that_is_broken_off_while_the_new_one_settles_leaves_nothing_behind(
    deeds: list[str],
) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        with trio.move_on_after(SETTLING / 2):
            await chat.server.replace_plugin("filter", Filter("?", deeds))
        await chat.settled()
        assert deeds[-2:] == ["? enters", "?: its task ends"]
        assert core_of(chat.server).plugins.active.crashed == {"filter"}


class Slow(Filter):
    """One that takes two seconds to start, and says whether it is open."""

    is_open = False

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        await trio.sleep(self.seconds)
        self.is_open = True
        yield
        self.is_open = False

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        await trio.sleep(1)
        return message if message.text.startswith("/") else message.with_text(f"{self.mark} {self.is_open}")

    @command("mark", help="what marks messages")
    def show(self, client: Client) -> str:
        return f"{self.mark} {self.is_open}"


async def test_a_command_waits_for_the_new_version_as_well(deeds: list[str]) -> None:
    async with with_filter(Slow("!", deeds)) as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")
        nursery.start_soon(chat.server.replace_plugin, "filter", Slow("?", deeds, seconds=2))
        await chat.settled()
        await alice.say("/mark")
        await alice.hears("* ? True")


async def test_a_command_that_the_new_version_has_not_is_not_there_any_more(deeds: list[str]) -> None:
    class Silent(Slow):
        show = None  # type: ignore[assignment]

    async with with_filter(Slow("!", deeds)) as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")
        nursery.start_soon(chat.server.replace_plugin, "filter", Silent("?", deeds, seconds=2))
        await chat.settled()
        await alice.say("/mark")
        await alice.hears("* /mark is gone")


@pytest.mark.parametrize("_turn", range(10))  # it depends on the order in which Trio lets tasks run
async def test_who_waits_for_one_replacement_does_not_walk_past_the_next(deeds: list[str], _turn: int) -> None:
    async with with_filter(Slow("1", deeds)) as chat:
        alice = await chat.join("alice")
        async with trio.open_nursery() as nursery:
            for mark in "23":
                nursery.start_soon(chat.server.replace_plugin, "filter", Slow(mark, deeds))
                await chat.settled()
            await alice.say("hello")
        assert (await alice.hears_up_to("alice: "))[-1] in ("alice: 2 True", "alice: 3 True")


async def test_a_call_that_its_sender_has_begun_comes_to_its_end_first() -> None:
    told: list[str] = []

    class Keeper:
        def __init__(self, mark: str) -> None:
            self.mark = mark
            self.is_open = False

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            self.is_open = True
            yield
            self.is_open = False

        @hookimpl
        async def on_broadcast(self, messages: Sequence[Message]) -> None:
            await trio.sleep(1)
            told.append(f"{messages[-1].text}: {self.mark} {self.is_open}")

    async with running({"keeper": Keeper("old")}) as chat:
        await chat.join("alice")
        await chat.settled()
        core = core_of(chat.server)
        (alice,) = core.hub.clients()
        assert core.broadcaster.publish_at_once(Message("hello", "alice"), alice)
        await chat.server.replace_plugin("keeper", Keeper("new"))
        await core.broadcaster.inbox.flush()
        assert "hello: old True" in told


class Log:
    """Records what it is told, and whether it is open; it takes a second to close."""

    def __init__(self, mark: str, told: list[str]) -> None:
        self.mark = mark
        self.told = told
        self.is_open = False

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self.is_open = True
        yield
        self.is_open = False
        await trio.sleep(1)

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.told += [f"{self.mark} {self.is_open}: {each.text}" for each in messages if each.kind == "said"]


@pytest.mark.parametrize("count", [1, 2], ids=["alone", "with others"])
async def test_what_is_said_while_the_old_one_closes_is_told_to_the_new_one(count: int) -> None:
    told: list[str] = []
    async with running({"log": Log("old", told)}) as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")
        nursery.start_soon(chat.server.replace_plugin, "log", Log("new", told))
        await chat.settled()
        said = ["hello"] * count
        await alice.say(*said)
        await alice.hears(*[f"alice: {text}" for text in said])
        assert told == [f"new True: {text}" for text in said]


async def test_an_old_version_takes_no_memory(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        old = Filter("?", deeds)  # the test kit keeps the first one
        is_there = weakref.ref(old)
        await chat.server.replace_plugin("filter", old)
        del old
        await alice.say("hello")
        await alice.hears("alice: hello?")
        await chat.server.replace_plugin("filter", Filter(".", deeds))
        await alice.say("hello")
        await alice.hears("alice: hello.")
        gc.collect()
        assert is_there() is None


async def test_a_call_that_does_not_end_keeps_the_old_one(deeds: list[str]) -> None:
    class Shields(Filter):
        @hookimpl
        async def on_message(self, message: Message) -> Message:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)
            return message

    async with with_filter(Shields("!", deeds)) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        with pytest.raises(PluginError, match="plugin 'filter' cannot be replaced: one of its calls does not end"):
            await chat.server.replace_plugin("filter", Filter("?", deeds))
        assert deeds == ["! enters"]
        await trio.sleep(60)


@pytest.mark.parametrize(("shielded", "goes_on"), [(False, True), (True, False)], ids=["cancelled", "shielded"])
async def test_a_lifespan_that_hangs_is_cancelled(deeds: list[str], *, shielded: bool, goes_on: bool) -> None:
    class Hangs:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            yield
            with trio.CancelScope(shield=shielded):
                await trio.sleep(60)

        @hookimpl
        def on_message(self) -> None: ...

    async with with_filter(Hangs()) as chat:
        alice = await chat.join("alice")
        if goes_on:
            await chat.server.replace_plugin("filter", Filter("?", deeds))
        else:
            with pytest.raises(PluginError, match="plugin 'filter' cannot be replaced: its lifespan does not end"):
                await chat.server.replace_plugin("filter", Filter("?", deeds))
            await alice.hears(CRASHED)
        await alice.say("hello")
        await alice.hears("alice: hello?" if goes_on else REFUSED)
        await trio.sleep(60)


async def test_a_task_that_is_left_behind_is_named(deeds: list[str], caplog: pytest.LogCaptureFixture) -> None:
    scope = trio.CancelScope()

    async def stray() -> None:
        with scope:
            await trio.sleep_forever()

    class Leaks:
        @hookimpl
        def on_message(self) -> None:
            trio.lowlevel.spawn_system_task(stray)

    async with with_filter(Leaks()) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        await chat.server.replace_plugin("filter", Filter("?", deeds))
        (named,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert named.startswith("plugin 'filter' has left a task behind: ")
        assert "stray: await trio.sleep_forever()" in named
        scope.cancel()
        await chat.settled()


async def test_a_replacement_that_is_broken_off_leaves_no_door_open(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds)) as chat:
        alice = await chat.join("alice")
        with trio.move_on_after(1):
            await chat.server.replace_plugin("filter", Stuck("?", deeds))
        await alice.hears(CRASHED)
        await alice.say("hello")
        await alice.hears(REFUSED)


async def test_two_at_the_same_time_come_one_after_the_other(deeds: list[str]) -> None:
    async with with_filter(Filter("!", deeds, seconds=1)) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        async with trio.open_nursery() as nursery:
            for mark in ("?", "."):
                nursery.start_soon(chat.server.replace_plugin, "filter", Filter(mark, deeds))
                await chat.settled()
        await alice.hears("alice: hello!")
        await alice.say("hello")
        await alice.hears("alice: hello.")
    assert [deed for deed in deeds if deed.endswith("enters")] == ["! enters", "? enters", ". enters"]


async def test_a_stop_in_the_middle_waits_for_no_lifespan(deeds: list[str]) -> None:
    class Slow(Filter):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            await trio.sleep(4)
            deeds.append("slow enters")
            yield
            deeds.append("slow leaves")

    async with with_filter(Filter("!", deeds)) as chat, trio.open_nursery() as nursery:

        async def replace() -> None:
            with pytest.raises(PluginError, match="the server is stopping"):
                await chat.server.replace_plugin("filter", Slow("?", deeds))

        nursery.start_soon(replace)
        await chat.settled()
        before = trio.current_time()
        chat.server.stop()
        await chat.settled()
    assert trio.current_time() - before <= chat.server.options.shutdown_timeout
    assert deeds[:3] == ["! enters", "!: its task ends", "! leaves"]


async def test_the_policy_stays_unless_another_one_is_given() -> None:
    class Broken:
        @hookimpl
        def on_message(self) -> None:
            raise ValueError("oops")

    async with running({"filter": Broken()}, {"plugins": {"filter": {"on_error": "skip"}}}) as chat:
        alice = await chat.join("alice")
        await chat.server.replace_plugin("filter", Broken())
        await alice.say("hello")
        await alice.hears("alice: hello")
        await chat.server.replace_plugin("filter", Broken(), Policy())
        await alice.say("hello")
        await alice.hears(REFUSED)


async def test_a_plugin_in_quarantine_is_told_again_when_it_was_replaced(deeds: list[str]) -> None:
    class Listens:
        def __init__(self, *, fails: bool) -> None:
            self.fails = fails

        @hookimpl
        def on_broadcast(self, messages: tuple[Message, ...]) -> None:
            if self.fails:
                raise ValueError("oops")
            deeds.extend(message.text for message in messages)

    async with with_filter(Listens(fails=True)) as chat:
        alice = await chat.join("alice")
        # Its joining was the first one.
        for number in (2, 3, 4):
            await alice.say(str(number))
            await alice.hears(f"alice: {number}")
        await alice.say("5")
        await alice.hears("* the plugin 'filter': it failed 5 times within a minute; it is told nothing any more")
        await alice.hears("alice: 5")
        await chat.server.replace_plugin("filter", Listens(fails=False))
        await alice.say("hello")
        await alice.hears("alice: hello")
        assert deeds == ["hello"]


async def test_ctrl_c_beside_a_replacement_that_failed_is_not_hidden(virtual_time: object) -> None:
    class Calm:
        @hookimpl
        def on_connect(self) -> None:
            pass

    class Both(Calm):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("oops")])
            yield

    with pytest.RaisesGroup(KeyboardInterrupt, allow_unwrapped=True, flatten_subgroups=True):
        async with running({"calm": Calm()}) as chat:
            await chat.server.replace_plugin("calm", Both())
