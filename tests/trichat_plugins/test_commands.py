"""The plugin `commands`: slash commands are run, `/help` and `/who` are there, and a path is still text."""

import logging
from collections.abc import Iterable

import pytest
import trio
from trichat_plugins.commands import NAMES_PER_LINE

from trichat import Client, Command, command, hookimpl
from trichat.testing import Chat, running

NO_COMMANDS = [
    "/etc/hosts",
    "//",
    "// what does this line do?",
    "/* nothing */",
    "/",
    "/ help",
    "/1",
    "/help/me",
    "/Help",
    "/-v",
    "say /help",
    " /help",
    "\t/help",
    "1/2",
]


class Games:
    """A plugin with commands."""

    def __init__(self) -> None:
        self.rolled: list[tuple[str, str]] = []
        self.release = trio.Event()

    @hookimpl
    def commands(self) -> Iterable[Command]:
        return [
            Command("roll", "roll a die", self._roll, arguments="[SIDES]"),
            Command("draw", "draw a card, when there is one", self._draw),
            Command("flip-2", "flip two coins", self._flip),
        ]

    def _roll(self, client: Client, arguments: str) -> None:
        self.rolled.append((client.name, arguments))

    async def _draw(self, client: Client, _: str) -> None:
        await self.release.wait()
        client.send("the queen of hearts")

    def _flip(self, client: Client, _: str) -> None:
        raise ValueError("no coins")


@pytest.fixture
def games() -> Games:
    return Games()


async def test_help_shows_all_commands_in_the_order_of_the_alphabet(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help")
    await alice.hears(
        "* /bye - leave the chat (bye without the slash works, too)",
        "* /help [COMMAND] - show all commands, or what one does",
        "* /seen NAME - tell when somebody left, and why",
        "* /stop - stop the server (stop without the slash works, too)",
        "* /who - show who is here",
    )
    await alice.hears_nothing()


@pytest.mark.chat(plugins=[Games])
async def test_help_shows_the_commands_of_other_plugins(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help roll", "/help /roll", "/help flip-2")
    await alice.hears("* /roll [SIDES] - roll a die", "* /roll [SIDES] - roll a die", "* /flip-2 - flip two coins")


async def test_help_knows_that_a_command_is_not_there(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help dance")
    await alice.hears("* there is no command /dance")


async def test_who_shows_who_is_here_in_the_order_of_joining(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("Bob the Builder")
    await alice.hears("* Bob the Builder joined")
    await chat.connect()  # Whoever has no name yet is not here.
    await bob.say("/who")
    await bob.hears("* here: alice, Bob the Builder")


async def test_who_shows_a_full_house_in_several_lines(chat: Chat) -> None:
    names = [f"guest{number}" for number in range(NAMES_PER_LINE + 1)]
    people = [await chat.join(name) for name in names]
    await people[-1].say("/who")
    await people[-1].hears(f"* here: {', '.join(names[:-1])}", f"* {names[-1]}")
    await people[-1].hears_nothing()


async def test_who_does_not_show_those_who_left(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    bob.hang_up()
    await alice.hears("* bob joined", "* bob left")
    await alice.say("/who")
    await alice.hears("* here: alice")


async def test_nobody_else_hears_of_a_command_and_it_is_not_kept(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/who", "/dance")
    await alice.hears(
        "* here: alice, bob",
        "* there is no command /dance; a space in front of the slash makes it text",
    )
    await bob.hears_nothing()
    assert chat.log == ["* alice joined", "* bob joined"]


@pytest.mark.parametrize("text", NO_COMMANDS)
async def test_what_is_no_command_is_sent(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    await alice.say(text)
    await alice.hears(f"alice: {text}")


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("/roll", ""),
        ("/roll 6", "6"),
        ("/roll   6  sides ", "6  sides"),
        ("/roll\t6", "6"),
        ("/roll /6", "/6"),
    ],
)
async def test_a_command_is_given_its_client_and_what_follows(
    virtual_time: object, games: Games, typed: str, arguments: str
) -> None:
    async with running([games]) as chat:
        alice = await chat.join("alice")
        await alice.say(typed, "done")
        await alice.hears("alice: done")
    assert games.rolled == [("alice", arguments)]


async def test_a_command_may_wait_and_only_its_client_waits_with_it(virtual_time: object, games: Games) -> None:
    async with running([games]) as chat:
        alice = await chat.join("alice")
        bob = await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("/draw", "what a card")
        await bob.say("hello")
        await alice.hears("bob: hello")
        games.release.set()
        await alice.hears("* the queen of hearts", "alice: what a card")


@pytest.mark.chat(plugins=[Games])
async def test_a_command_that_fails_is_refused_and_the_chat_goes_on(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await chat.join("alice")
    await alice.say("/flip-2", "never mind")
    refusal = await alice.next_line()
    assert refusal is not None
    assert refusal == "* /flip-2 of the plugin 'games' failed"
    await alice.hears("alice: never mind")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_command_that_fails_because_of_the_disk_is_logged_in_one_sentence(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Keeper:
        @command("keep", help="keep something")
        async def keep(self, client: Client) -> None:
            await client.server.storage("keeper").set("key", 1)

    async with running([Keeper], {"server": {"data_dir": "/dev/null"}}) as chat:
        alice = await chat.join("alice")
        await alice.say("/keep")
        await alice.hears("* /keep of the plugin 'keeper' failed")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "plugin 'keeper' failed in /keep: /dev/null/keeper: Not a directory"
    assert record.exc_info is None


@pytest.mark.chat(plugins=[Games], config={"server": {"hook_timeout": 0.25}})
async def test_a_command_that_hangs_is_cancelled_after_the_time_of_a_hook(chat: Chat) -> None:
    alice = await chat.join("alice")
    before = trio.current_time()
    await alice.say("/draw")
    refusal = await alice.next_line()
    assert refusal is not None
    assert refusal == "* /draw of the plugin 'games' failed"
    assert trio.current_time() - before == pytest.approx(0.25)


@pytest.mark.chat(config={"plugins": {"commands": {"enabled": False}}})
async def test_without_the_plugin_there_is_no_help_but_every_other_command(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help", "/seen bob")
    await alice.hears(
        "* there is no command /help; a space in front of the slash makes it text",
        "* bob has not left since the server started",
    )
