"""The plugin `commands`: `/help` and `/who`."""

import pytest
from trichat_plugins.commands import NAMES_PER_LINE

from trichat import Client, command
from trichat.testing import Chat


class Games:
    """A plugin with commands."""

    @command("roll", "[SIDES]", help="roll a die")
    def roll(self, client: Client, sides: int = 6) -> str:
        return f"{client.name} rolled {sides}"

    @command("flip-2", help="flip two coins")
    def flip(self, client: Client) -> str:
        return f"{client.name} flipped tails"


async def test_help_shows_all_commands_in_the_order_of_the_alphabet(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help")
    await alice.hears(
        "* /bye - leave the chat (bye without the slash works, too)",
        "* /help [COMMAND] - show all commands, or what one does",
        "* /join [ROOM] - enter a room; it is made if it is not there",
        "* /me TEXT - tell the room what you do: /me waves",
        "* /nick NAME - take another name",
        "* /rooms - show the rooms, and how many are in each",
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


@pytest.mark.chat(config={"plugins": {"commands": {"enabled": False}}})
async def test_without_the_plugin_there_is_no_help_but_every_other_command(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help", "/seen bob")
    await alice.hears(
        "* there is no command /help; a space in front of the slash makes it text",
        "* bob has not left since the server started",
    )
