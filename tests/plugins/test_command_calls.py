"""The commands of the plugins: each is a call of its plugin, which is to blame for it, with its plugin's deadline."""

import inspect
import logging
from collections.abc import Iterable

import pytest
import trio

from trichat import Client, Command, Message, command, hookimpl
from trichat._config.plugin_policy import Policy
from trichat._plugins.command_calls import commands_of, commands_of_all
from trichat._plugins.dispatch import Plugins
from trichat.testing import running


class Games:
    """A plugin that marks a command and contributes another one."""

    @command("roll", help="roll a die")
    def roll(self, client: Client) -> str:
        return "6"

    @hookimpl
    def commands(self) -> Iterable[Command]:
        return [Command("flip", "flip a coin", lambda client, arguments: "heads")]


class Lights:
    """A plugin that marks a command."""

    @command("light", help="turn the light on")
    def light(self, client: Client) -> str:
        return "on"


def names(plugins: Plugins) -> list[tuple[str, list[str]]]:
    return [(plugin, [each.name for each in commands]) for plugin, commands in commands_of_all(plugins)]


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(hook_timeout=5)


def test_those_that_are_marked_come_first_and_then_those_that_are_contributed(plugins: Plugins) -> None:
    plugins.register("games", Games())
    plugins.register("lights", Lights())
    assert names(plugins) == [("games", ["roll"]), ("lights", ["light"]), ("games", ["flip"])]


def test_one_plugin_has_those_that_it_marks_and_those_that_it_contributes(plugins: Plugins) -> None:
    plugins.register("games", Games())
    plugins.register("lights", Lights())
    registry = plugins.active.registry
    found = {each.name: [one.name for one in commands_of(each, registry, plugins)] for each in registry}
    assert found == {"games": ["roll", "flip"], "lights": ["light"]}


def test_a_plugin_in_shadow_has_none(plugins: Plugins) -> None:
    plugins.register("games", Games(), Policy(shadow=True))
    assert names(plugins) == [("games", []), ("games", [])]


class Panic(BaseException):
    """What a library that is not written in Python may raise."""


@pytest.mark.parametrize("error", [SystemExit(3), Panic("on purpose"), BaseExceptionGroup("", [Panic("on purpose")])])
async def test_a_command_that_exits_is_to_blame_and_not_who_runs_it(
    error: BaseException, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Bad:
        @command("bad", help="exits")
        def bad(self, client: Client) -> str:
            raise error

        @command("later", help="exits a bit later")
        async def later(self, client: Client) -> str:
            await trio.sleep(1)
            raise error

    async with running({"bad": Bad()}) as chat:
        alice = await chat.join("alice")
        for name in ("bad", "later"):
            await alice.say(f"/{name}")
            await alice.hears(f"* /{name} of the plugin 'bad' failed")
    failures = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert failures == [f"plugin 'bad' failed in /{name}: {error!r}" for name in ("bad", "later")]


@pytest.mark.parametrize("seconds", [5, 30])
async def test_a_command_that_hangs_has_the_time_of_its_plugin_and_is_to_blame(
    virtual_time: object, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    class Slow:
        @command("hang", help="never ends")
        async def hang(self, client: Client) -> None:
            await trio.sleep_forever()

        @command("long", help="takes its time")
        async def long(self, client: Client) -> str:
            await trio.sleep(seconds - 1)
            return "done"

    async with running({"slow": Slow()}, {"plugins": {"slow": {"hook_timeout": seconds}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("/hang")
        begun = trio.current_time()
        assert await alice.next_line(seconds + 1) == "* /hang of the plugin 'slow' failed"
        assert trio.current_time() - begun == pytest.approx(seconds)
        await alice.say("/long")
        assert await alice.next_line(seconds + 1) == "* done"
    [failure] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert failure.getMessage() == f"plugin 'slow' failed in /hang: it took longer than hook_timeout ({seconds} s)"
    assert failure.exc_info is None


async def test_what_fails_in_a_command_that_is_cut_short_is_in_the_log(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Untidy:
        @command("long", help="takes its time")
        async def long(self, client: Client) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fails_at_its_end)
                await trio.sleep_forever()

        async def _fails_at_its_end(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("on purpose")

    async with running({"untidy": Untidy()}) as chat:
        alice = await chat.join("alice")
        await alice.say("/long")
        await chat.settled()
        chat.server.clients[0].kick("too slow")
        await alice.hears("* too slow")
    failures = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert failures == ["plugin 'untidy' failed in /long: on purpose"]


async def test_a_plugin_that_hangs_after_running_a_command_is_cancelled_too(virtual_time: object) -> None:
    class Nightly:
        """Runs a command for a client, and then hangs."""

        @command("slow", help="takes a while")
        async def slow(self, client: Client) -> None:
            await trio.sleep(1)

        @hookimpl(tryfirst=True)
        async def on_message(self, client: Client, message: Message) -> None:
            running_command = client.server.commands["slow"].run(client, "")
            assert inspect.isawaitable(running_command)
            await running_command
            await trio.sleep_forever()

    async with running({"nightly": Nightly()}, {"plugins": {"nightly": {"hook_timeout": 5}}}) as chat:
        alice = await chat.join("alice")
        begun = trio.current_time()
        await alice.say("hello")
        assert await alice.next_line(10) == "* not sent: the plugin 'nightly' failed"
        assert trio.current_time() - begun == pytest.approx(1 + 5)


async def test_a_command_that_runs_another_one_keeps_the_time_of_its_plugin(virtual_time: object) -> None:
    class Nightly:
        @command("inner", help="takes a second")
        async def inner(self, client: Client) -> None:
            await trio.sleep(1)

        @command("outer", help="runs /inner, and takes longer than a call of the plugin that runs commands may")
        async def outer(self, client: Client) -> str:
            inner = client.server.commands["inner"].run(client, "")
            assert inspect.isawaitable(inner)
            await inner
            await trio.sleep(20)
            return "done"

    async with running({"nightly": Nightly()}, {"plugins": {"nightly": {"hook_timeout": 30}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("/outer")
        assert await alice.next_line(30) == "* done"


async def test_a_long_command_of_one_client_gives_the_calls_of_others_no_more_time(virtual_time: object) -> None:
    class Nightly:
        @command("long", help="takes its time")
        async def long(self, client: Client) -> str:
            await trio.sleep(20)
            return "done"

    class Hangs:
        @hookimpl
        async def on_message(self, message: Message) -> None:
            if message.text == "hello":
                await trio.sleep_forever()

    plugins = {"nightly": Nightly(), "hangs": Hangs()}
    async with running(plugins, {"plugins": {"nightly": {"hook_timeout": 30}}}) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("hello")
        await chat.settled()
        await bob.say("/long")
        assert await alice.next_line(6) == "* not sent: the plugin 'hangs' failed"
        assert await bob.next_line(30) == "* done"
