"""What the configuration says of any plugin, and what comes of it in a server."""

from collections.abc import Mapping, Sequence

import pytest
import trio
from lifespan_kit import CrashingInBackground

from trichat import Client, Config, ConfigError, Message, Options, PluginError, hookimpl
from trichat._config.plugin_policy import KEYS, Policy, policy_of, split_policy
from trichat._plugins.loader import load_plugins
from trichat.testing import Chat, Person, running
from trichat.testing._chat.chat import Tables


def policy(table: Mapping[str, object]) -> Policy:
    return policy_of(Config.from_tables({"plugins": {"bot": table}}), "bot")


def test_without_a_table_each_has_its_default() -> None:
    assert policy_of(Config(), "bot") == Policy()


def test_it_is_split_from_the_options_of_the_plugin() -> None:
    faults: list[str] = []
    found = split_policy({"on_error": "skip", "words": ["darn"]}, Config().place("plugins", "bot"), faults)
    assert (found, faults) == ((Policy(on_error="skip"), {"words": ["darn"]}), [])


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        pytest.param({"on_error": "ignore"}, "on_error: Expected 'refuse' or 'skip' or 'stop'", id="no such policy"),
        pytest.param({"hook_timeout": 0}, "hook_timeout: Expected `float` > 0", id="no time at all"),
        pytest.param({"quarantine_after": -1}, "quarantine_after: Expected `int` >= 0", id="less than never"),
        pytest.param({"required": "yes"}, "required: Expected `bool | null`, got `str`", id="a word"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(table: Mapping[str, object], fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        policy(table)
    assert str(refused.value).startswith(f"configuration: plugins.bot.{fault}")


class Log:
    required = True


@pytest.mark.parametrize(
    ("table", "of_a_log", "of_a_bot"),
    [
        pytest.param({}, True, False, id="by default what the plugin says"),
        pytest.param({"required": False}, False, False, id="or else what the table says"),
        pytest.param({"required": True}, True, True, id="both ways"),
        pytest.param({"on_error": "refuse"}, True, True, id="to refuse is to require"),
        pytest.param({"on_error": "skip"}, False, False, id="to skip is not to"),
        pytest.param({"on_error": "stop"}, True, False, id="to stop says nothing of it"),
        pytest.param({"on_error": "skip", "required": True}, True, True, id="what is said of it itself goes first"),
        pytest.param({"shadow": True, "required": True}, False, False, id="nobody in shadow"),
    ],
)
def test_who_is_required(table: Mapping[str, object], of_a_log: bool, of_a_bot: bool) -> None:
    in_effect = policy(table).in_effect()
    assert (in_effect.requires(Log()), in_effect.requires(object())) == (of_a_log, of_a_bot)


@pytest.mark.parametrize("key", KEYS)
def test_a_plugin_cannot_have_an_option_of_the_same_name(key: str) -> None:
    options = type("BotOptions", (Options,), {"__annotations__": {key: int}, key: 1}, frozen=True, kw_only=True)

    class Bot:
        def __init__(self, options: Options) -> None: ...

        @hookimpl
        def on_reload(self) -> None: ...

    Bot.__init__.__annotations__["options"] = options
    with pytest.raises(PluginError, match=f"plugin 'bot': it cannot have the option '{key}'"):
        load_plugins(Config(), {"bot": Bot})


# In a server.


class Filter:
    """Fails on every line with a word that it does not know, and in the same way on batches."""

    @hookimpl
    async def on_message(self, message: Message) -> None:
        if message.text == "xyzzy":
            raise ValueError(message.text)

    @hookimpl
    def on_broadcast(self, messages: list[Message]) -> None:
        if any(message.text == "plugh" for message in messages):
            raise ValueError("plugh")

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        raise ValueError(client.name)


virtual_time = pytest.mark.usefixtures("virtual_time")

FAILED = "* not sent: the plugin 'filter' failed"


async def said(chat: Chat, *lines: str) -> tuple[Person, list[str]]:
    alice = await chat.join("alice", address="10.0.0.7")
    await alice.say(*lines)
    await chat.settled()
    return alice, await alice.unheard()


def filtered(**table: object) -> Tables:
    return {"plugins": {"filter": table}}


@pytest.mark.parametrize(
    ("table", "line", "heard"),
    [
        pytest.param({}, "xyzzy", FAILED, id="what was asked is refused"),
        pytest.param({"on_error": "skip"}, "xyzzy", "alice: xyzzy", id="or it is skipped"),
        pytest.param({}, "plugh", "alice: plugh", id="what was told is skipped"),
        pytest.param({"on_error": "refuse"}, "plugh", FAILED, id="or the batch is refused"),
        pytest.param({"required": True}, "plugh", FAILED, id="as of one that is required"),
    ],
)
@virtual_time
async def test_a_failure_does_what_the_policy_says(table: Mapping[str, object], line: str, heard: str) -> None:
    async with running([Filter], filtered(**table)) as chat:
        _, lines = await said(chat, line)
        assert lines == [heard]


@pytest.mark.parametrize("line", ["xyzzy", "plugh"])
@virtual_time
async def test_or_it_stops_the_server(line: str) -> None:
    async with running([Filter], filtered(on_error="stop")) as chat:
        _, lines = await said(chat, line)
        assert lines[-1] == "* the server is stopping (the plugin 'filter' failed)"


class Slow:
    @hookimpl
    async def on_message(self, message: Message) -> None:
        await trio.sleep(2)


@virtual_time
async def test_a_plugin_may_have_more_or_less_time_than_the_others() -> None:
    for seconds, heard in ((1.0, "* not sent: the plugin 'slow' failed"), (3.0, "alice: hello")):
        config: Tables = {"server": {"hook_timeout": 2.5}, "plugins": {"slow": {"hook_timeout": seconds}}}
        async with running([Slow], config) as chat:
            alice = await chat.join("alice")
            await alice.say("hello")
            await alice.hears(heard)


# Quarantine.

OUT = "* the plugin 'filter': it failed 3 times within a minute; it is told nothing any more, and is still asked"


@virtual_time
async def test_who_fails_too_often_is_told_nothing_any_more_and_operators_hear_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running([Filter], filtered(quarantine_after=3)) as chat:
        operator = await chat.join("olga")
        alice, _ = await said(chat, "plugh")
        await alice.say("xyzzy")
        await alice.hears(FAILED)
        await alice.say("plugh")
        await alice.hears("alice: plugh")
        assert OUT in await operator.unheard()
        failures = len(caplog.records)
        await alice.say("plugh")
        await alice.hears("alice: plugh")
        assert len(caplog.records) == failures, "it is told nothing any more"
    assert OUT.removeprefix("* the ") in [record.getMessage() for record in caplog.records]


@virtual_time
async def test_what_it_is_asked_is_not_opened_by_that() -> None:
    async with running([Filter], filtered(quarantine_after=1)) as chat:
        _, lines = await said(chat, "xyzzy", "xyzzy", "hello")
        assert lines == [FAILED, FAILED, "alice: hello"]


@virtual_time
async def test_one_that_is_required_goes_on_refusing() -> None:
    async with running([Filter], filtered(quarantine_after=1, required=True)) as chat:
        _, lines = await said(chat, "plugh", "plugh")
        assert "alice: plugh" not in lines


@virtual_time
async def test_failures_that_are_far_apart_do_not_count_together() -> None:
    async with running([Filter], filtered(quarantine_after=2)) as chat:
        operator = await chat.join("olga")
        for _ in range(3):
            await operator.say("xyzzy")
            await trio.sleep(61)
        assert await operator.unheard() == [FAILED] * 3


class Unreadable:
    def __init__(self) -> None:
        self.told = 0

    @hookimpl
    def on_reload(self) -> None:
        self.told += 1
        raise OSError("no such file")


@virtual_time
async def test_reloads_that_fail_do_not_count() -> None:
    unreadable = Unreadable()
    async with running([unreadable]) as chat:
        for _ in range(20):
            await chat.server.reload()
    assert unreadable.told == 20


class FullDisk:
    """Keeps a log that cannot be written for a while."""

    def __init__(self) -> None:
        self.is_full, self.kept, self.reloads = True, list[str](), 0

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        self.kept += [message.text for message in messages]

    @hookimpl
    def on_reload(self) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        self.reloads += 1


@virtual_time
async def test_a_reload_that_succeeds_ends_it() -> None:
    log = FullDisk()
    async with running([log], {"plugins": {"full_disk": {"quarantine_after": 1}}}) as chat:
        alice = await chat.join("alice")
        await chat.server.reload()
        log.is_full = False
        await alice.say("to nobody")
        await alice.hears_up_to("alice: to nobody")
        await chat.server.reload()
        await alice.say("to the log")
        await alice.hears("alice: to the log")
    assert (log.kept[0], log.reloads) == ("to the log", 1)


@virtual_time
async def test_nought_is_never() -> None:
    async with running([Filter], filtered(quarantine_after=0)) as chat:
        operator = await chat.join("olga")
        await operator.say(*["xyzzy"] * 10)
        await chat.settled()
        assert await operator.unheard() == [FAILED] * 10


class Crashing(CrashingInBackground):
    """It takes part in what is asked."""

    @hookimpl
    def on_message(self, message: Message) -> None:
        """Is asked no more."""


@virtual_time
async def test_one_that_has_crashed_refuses_and_has_not_failed_again_by_that(caplog: pytest.LogCaptureFixture) -> None:
    async with running([Crashing]) as chat:
        _, lines = await said(chat, *["hello"] * 10)
        assert lines == ["* not sent: the plugin 'crashing' failed"] * 10
    assert not any("within a minute" in record.getMessage() for record in caplog.records)


@virtual_time
async def test_or_it_is_not_asked_either_if_that_is_the_policy() -> None:
    async with running([Crashing], {"plugins": {"crashing": {"on_error": "skip"}}}) as chat:
        _, lines = await said(chat, "hello")
        assert lines == ["alice: hello"]


@virtual_time
async def test_or_the_server_stops() -> None:
    async with running([Crashing], {"plugins": {"crashing": {"on_error": "stop"}}}) as chat:
        await chat.settled()
        with pytest.raises(ConnectionRefusedError):
            chat.connect_silently()
