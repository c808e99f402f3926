"""Plugins in shadow: they run as ever, and what they would have done is logged, and not done."""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from lifespan_kit import CrashingInBackground

from trichat import Client, Handled, Message, PluginError, Refuse, Server, command, hookimpl
from trichat._config.plugin_policy import Policy
from trichat._plugins.dispatch import Plugins
from trichat._plugins.shadow import SHOWN, Shadow, is_withheld, noting_only, shadowing, shown
from trichat.testing import Chat, running

SHADOW = {"plugins": {"guard": {"shadow": True}}}

ALICE = "alice (10.0.0.7)"


class Log:
    """What was logged of plugins in shadow, and of failures."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def deeds(self) -> list[str]:
        start = "plugin 'guard' in shadow: would have "
        return [line.removeprefix(start) for line in self._caplog.messages if line.startswith(start)]

    @property
    def failures(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, virtual_time: object) -> Log:
    caplog.set_level(logging.INFO, "trichat.shadow")
    return Log(caplog)


async def said(chat: Chat, *lines: str) -> list[str]:
    alice = await chat.join("alice", address="10.0.0.7")
    await alice.say(*lines)
    await chat.settled()
    return await alice.unheard()


# What it is asked.


class Guard:
    """Has an answer to everything."""

    @hookimpl
    def on_connect(self) -> Refuse:
        return Refuse("nobody comes in")

    @hookimpl
    async def on_join(self, client: Client) -> Refuse:
        await trio.sleep(0.1)
        return Refuse(f"not {client.name}")

    @hookimpl
    def on_message(self, message: Message) -> Message | Handled | Refuse | None:
        match message.text:
            case "darn":
                return Refuse("mind your language")
            case "heck":
                return message.with_text("****")
            case "abracadabra":
                return Handled()
        return message.with_text(message.text)

    @hookimpl
    def history(self, room: str) -> Sequence[Message]:
        return [Message("a lie", "bob", id=1)]


async def test_its_answers_are_logged_and_not_obeyed(log: Log) -> None:
    async with running([Guard], SHADOW) as chat:
        assert await said(chat, "darn", "heck", "abracadabra") == ["alice: darn", "alice: heck", "alice: abracadabra"]
    assert log.deeds == [
        "refused 10.0.0.7: 'nobody comes in'",
        f"refused {ALICE}: 'not alice'",
        "given the history of 'lobby'",
        f"refused 'darn' of {ALICE}: 'mind your language'",
        f"changed 'heck' of {ALICE} to '****'",
        f"handled 'abracadabra' of {ALICE}",
    ]
    assert log.failures == []


async def test_an_answer_that_changes_nothing_is_not_worth_a_line(log: Log) -> None:
    async with running([Guard], SHADOW) as chat:
        assert await said(chat, "hello") == ["alice: hello"]
    assert not any("hello" in deed for deed in log.deeds)


async def test_out_of_shadow_nothing_of_this_is_so(log: Log) -> None:
    async with running([Guard]) as chat:
        stranger = chat.connect_silently()
        assert await stranger.rest() == ["* refused: nobody comes in"]
    assert log.deeds == []


async def test_others_are_asked_as_if_it_were_not_there(log: Log) -> None:
    class Shouter:
        after = ("guard",)

        @hookimpl
        def on_message(self, message: Message) -> Message:
            return message.with_text(message.text.upper())

    async with running([Guard, Shouter], SHADOW) as chat:
        assert await said(chat, "heck") == ["alice: HECK"]


async def test_a_line_of_the_log_is_short_and_obeyed_by_no_terminal(log: Log) -> None:
    class Guard:
        @hookimpl
        def on_message(self, message: Message) -> Refuse:
            return Refuse("\x1b[31mred\nand more")

    async with running([Guard], SHADOW) as chat:
        await said(chat, "x" * 1000)
    assert log.deeds == [f"refused '{'x' * SHOWN}'... of {ALICE}: 'red and more'"]


# What becomes of its failures.


class Broken:
    """Fails in all that it is asked and told, in each of the ways there are."""

    required = True

    @hookimpl
    def on_connect(self) -> int:
        return 1

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await trio.sleep(60)

    @hookimpl
    def on_broadcast(self) -> None:
        raise ValueError("broken")


@pytest.mark.parametrize("policy", [{}, {"on_error": "refuse"}, {"on_error": "stop"}, {"required": True}], ids=str)
async def test_its_failures_are_logged_and_refuse_nothing(policy: dict[str, object], log: Log) -> None:
    async with running(
        {"guard": Broken}, {"plugins": {"guard": {"shadow": True, "hook_timeout": 1, **policy}}}
    ) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        assert log.failures[:1] == ["plugin 'guard' failed in on_connect: 1 is not an answer to this hook"]
        assert "plugin 'guard' failed in on_broadcast: broken" in log.failures
        assert "plugin 'guard' failed in on_message: it took longer than hook_timeout (1 s)" in log.failures


async def test_one_that_crashes_in_the_background_is_not_asked_any_more(log: Log) -> None:
    class Guard(CrashingInBackground):
        @hookimpl
        def on_message(self) -> Refuse:
            return Refuse("no")

    async with running([Guard], SHADOW) as chat:
        await chat.settled()
        assert await said(chat, "hello") == ["alice: hello"]
    assert log.deeds == []


async def test_cancelling_passes_through(log: Log) -> None:
    class Guard:
        @hookimpl
        async def on_message(self) -> None:
            await trio.sleep_forever()

    async with running([Guard], SHADOW) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
    assert log.failures == []


# What it does of its own accord.


class Meddler:
    """Does all that a plugin may do to the chat, wherever it may."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        server.start_soon(self._meddle, server)
        yield
        await server.say("lobby", "goodbye")

    async def _meddle(self, server: Server) -> None:
        await trio.sleep(1)
        await trio.to_thread.run_sync(lambda: trio.from_thread.run(server.say, "lobby", "from a thread"))

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> None:
        server = client.server
        client.send("psst")
        await server.say("lobby", "I say")
        server.notice("notice")
        client.kick("out")
        await server.reload()
        server.stop("enough")

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.told += [message.text or message.sentence() for message in messages]

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        client.server.say_nowait("lobby", f"{client.name} is gone")

    @hookimpl
    def on_reload(self) -> None:
        self.told.append("reload")


async def test_what_it_does_to_the_chat_is_logged_and_not_done(log: Log) -> None:
    meddler = Meddler()
    async with running({"guard": meddler}, SHADOW) as chat:
        assert await said(chat, "hello") == ["alice: hello"]
        await trio.sleep(2)
        chat.people[0].hang_up()
        await chat.settled()
    assert log.deeds == [
        f"sent {ALICE}: 'psst'",
        "said in 'lobby': 'I say'",
        "given the notice 'notice'",
        f"kicked {ALICE}: 'out'",
        "reloaded",
        "stopped the server: 'enough'",
        "said in 'lobby': 'from a thread'",
        "said in 'lobby': 'alice is gone'",
        "said in 'lobby': 'goodbye'",
    ]
    assert log.failures == []
    assert meddler.told == ["alice joined", "hello", "alice left"], "it is told as ever"


async def test_it_attaches_nobody(log: Log) -> None:
    class Guard:
        @hookimpl
        def on_message(self, client: Client) -> None:
            client.server.attach(trio.testing.memory_stream_pair()[0], "10.0.0.9")

    async with running([Guard], SHADOW) as chat:
        assert await said(chat, "hello") == ["alice: hello"]
        assert len(chat.server.clients) == 1
    assert log.deeds == ["attached a client from '10.0.0.9'"]
    assert log.failures == ["plugin 'guard' failed in on_message: a plugin in shadow cannot attach a client"]


async def test_it_serves_nobody(log: Log) -> None:
    class Guard:
        @hookimpl
        async def on_message(self, client: Client) -> None:
            await client.server.serve_stream(trio.testing.memory_stream_pair()[0], "10.0.0.9")

    async with running([Guard], SHADOW) as chat:
        assert await said(chat, "hello") == ["alice: hello"]
        assert len(chat.server.clients) == 1
    assert log.deeds == ["served a client from '10.0.0.9'"]
    assert log.failures == ["plugin 'guard' failed in on_message: a plugin in shadow cannot serve a client"]


async def test_what_others_do_meanwhile_is_done(log: Log) -> None:
    class Guard:
        @hookimpl
        async def on_message(self) -> None:
            await trio.sleep(1)

    class Greeter:
        @hookimpl(trylast=True)
        def on_message(self, client: Client) -> None:
            client.send("hello, too")

    async with running([Guard, Greeter], SHADOW) as chat:
        alice = await chat.join("alice")
        bob = await chat.join("bob")
        await alice.say("hello")
        await chat.server.say("lobby", "in between")
        await alice.hears("* bob joined", "* in between", "* hello, too", "alice: hello")
        await bob.hears("* in between", "alice: hello")
    assert log.deeds == []


# Its commands.


class Roller:
    @command("roll", help="roll a die")
    def roll(self, client: Client) -> str:
        return "6"

    @hookimpl
    def on_message(self) -> None: ...


async def test_its_slash_commands_are_not_there_so_that_they_clash_with_no_others(log: Log) -> None:
    async with running({"guard": Roller, "roller": Roller}, SHADOW) as chat:
        assert await said(chat, "/roll") == ["* 6"]
    with pytest.raises(PluginError, match="both have the command /roll"):
        async with running({"guard": Roller, "roller": Roller}):
            pass


# The start.


async def test_what_is_made_wrong_is_refused_all_the_same(virtual_time: object) -> None:
    class Guard:
        @hookimpl(wrapper=True)
        def on_message(self) -> Iterator[None]:
            yield

    with pytest.raises(PluginError, match="wrapper"):
        async with running([Guard], SHADOW):
            pass


def test_nobody_pays_for_it_who_is_not_in_shadow() -> None:
    plugins = Plugins(5)
    plugins.register("guard", Guard())
    plugins.register("shadow", Guard(), Policy(shadow=True))
    shadow, plain = plugins.active.hooks["on_message"]
    assert (shadow.plugin, plain.plugin) == ("shadow", "guard")
    assert (isinstance(shadow.call, Shadow), isinstance(plain.call, Shadow)) == (True, False)


# The parts.


def test_what_is_done_outside_of_the_block_is_done() -> None:
    deeds: list[str] = []
    assert not is_withheld("done %s", "this")
    with shadowing(deeds.append):
        assert is_withheld("done %s", "that")
    assert not is_withheld("done %s", "this")
    assert deeds == ["done 'that'"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("hello", "'hello'", id="a short one"),
        pytest.param("x" * SHOWN, f"'{'x' * SHOWN}'", id="one that just fits"),
        pytest.param("x" * (SHOWN + 1), f"'{'x' * SHOWN}'...", id="a longer one"),
        pytest.param("x" * (SHOWN - 2) + "\x1b[31mred", f"'{'x' * (SHOWN - 2)}'...", id="half an escape sequence"),
    ],
)
def test_texts_are_shown_by_their_beginning(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_a_deed_can_be_noted_without_its_details() -> None:
    noted: list[str] = []
    with shadowing(noted.append):
        with noting_only("done something in secret"):
            assert is_withheld("sent %s", "hunter2")
        assert is_withheld("sent %s", "a flower")
    with noting_only("done something in secret"):
        assert not is_withheld("sent %s", "hunter2")
    assert noted == ["done something in secret", "sent 'a flower'"]
