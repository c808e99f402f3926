"""The plugin `commands`: `/help` and `/who`."""

from collections.abc import Iterable

import pytest
from client_kit import new_connection
from trichat_plugins.commands import NAMES_PER_LINE

from trichat import Client, Command, Refuse, command, hookimpl
from trichat._chat.command_requests import run_command
from trichat._fronts.front import Answer
from trichat._fronts.requests import Command as CommandRequest
from trichat._server import core_of
from trichat.testing import Chat


class Games:
    """A plugin with commands."""

    @command("roll", "[SIDES]", help="roll a die")
    def roll(self, client: Client, sides: int = 6) -> str:
        return f"{client.name} rolled {sides}"

    @command("flip-2", help="flip two coins")
    def flip(self, client: Client) -> str:
        return f"{client.name} flipped tails"

    @command("cheat", help="win with a secret word", action="cheat", group="tricks", secret=True)
    def cheat(self, client: Client, word: str) -> str:
        return "you have won"

    @hookimpl
    def permits(self, action: str, room: str) -> bool:
        return action == "cheat" and room == "casino"


async def test_help_shows_all_commands_in_groups(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help")
    await alice.hears(
        "* people  /away [TEXT]  /ignore [NAME]  /nick NAME  /seen NAME  /unignore NAME",
        "*         /who [ROOM]",
        "* rooms   /join [ROOM] [KEY]  /rooms  /topic [TEXT]",
        "* server  /bye  /help [COMMAND]  /quit [REASON]  /stop",
        "* talk    /me TEXT  /msg NAME TEXT",
        "* /help NAME tells more about one of them",
    )
    await alice.hears_nothing()


@pytest.mark.chat(plugins=[Games])
async def test_commands_that_name_no_group_are_in_that_of_their_plugin(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help")
    assert (await alice.hears_up_to("* games"))[-1] == "* games   /flip-2  /roll [SIDES]"


class Library:
    """A plugin with more commands than fit on a line."""

    @hookimpl
    def commands(self) -> Iterable[Command]:
        arguments = "AUTHOR TITLE OF THE BOOK"
        return [Command(f"lend-{letter}", "lend a book", lend, arguments, group="books") for letter in "abcdef"]


def lend(client: Client, arguments: str) -> None:
    """Run as a command would."""


@pytest.mark.chat(plugins=[Library])
async def test_a_group_that_does_not_fit_on_a_line_takes_more_and_keeps_each_command_whole(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/help")
    shown = (await alice.hears_up_to("* people"))[:-1]
    one = "AUTHOR TITLE OF THE BOOK"
    assert shown == [
        f"* books   /lend-a {one}  /lend-b {one}",
        f"*         /lend-c {one}  /lend-d {one}",
        f"*         /lend-e {one}  /lend-f {one}",
    ]
    assert max(map(len, shown)) <= 80


@pytest.mark.chat(plugins=[Games])
async def test_help_tells_all_about_one_command(chat: Chat) -> None:
    alice = await chat.join("alice", address="10.0.0.7")
    await alice.say("/help roll", "/help /flip-2", "/help cheat")
    await alice.hears(
        *("* /roll [SIDES] - roll a die", "* group: games; plugin: games"),
        *("* /flip-2 - flip two coins", "* group: games; plugin: games"),
        "* /cheat WORD - win with a secret word",
        "* group: tricks; plugin: games; what you type after it is kept secret; /cheat is for operators",
    )


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("/help dance", "* there is no command /dance"),
        ("/help jion", "* there is no command /jion (did you mean '/join'?)"),
        ("/help /rol", "* there is no command /rol (did you mean '/roll'?)"),
        ("/help cheaat", "* there is no command /cheaat"),  # /cheat is for operators
    ],
)
@pytest.mark.chat(plugins=[Games])
async def test_help_suggests_the_nearest_command_that_one_may_give(chat: Chat, typed: str, answer: str) -> None:
    alice = await chat.join("alice", address="10.0.0.7")
    await alice.say(typed)
    await alice.hears(answer)


@pytest.mark.chat(plugins=[Games])
async def test_help_shows_what_one_may_do_in_the_room_in_which_it_is_asked_for(chat: Chat) -> None:
    await chat.join("alice", address="10.0.0.7")
    [connection] = core_of(chat.server).hub.clients()
    core_of(chat.server).hub.enter(connection, "casino")  # where the plugin lets everyone cheat
    shown = {}
    for room in ("lobby", "casino"):
        answer = await run_command(CommandRequest("help", room=room), connection)
        assert isinstance(answer, Answer)
        shown[room] = "/cheat WORD" in answer.text
    assert shown == {"lobby": False, "casino": True}


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


async def test_who_shows_the_people_of_another_room(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/join dev")
    await alice.hears_up_to("* you are in dev")
    await bob.say("/who", "/who dev", "/who #DEV", "/who lobby")
    await bob.hears("* alice left", "* here: bob", "* in dev: alice", "* in dev: alice", "* here: bob")


async def test_who_shows_the_people_of_the_room_in_which_it_is_asked_for(chat: Chat) -> None:
    await chat.join("alice")
    await chat.join("bob")
    connection, _ = core_of(chat.server).hub.clients()
    core_of(chat.server).hub.enter(connection, "dev")
    given = [("lobby", ""), ("dev", ""), ("dev", "lobby"), ("lobby", "dev")]
    answers = [await run_command(CommandRequest("who", named, room=room), connection) for room, named in given]
    assert answers == [
        Answer("here: alice, bob"),
        Answer("here: alice"),
        Answer("in lobby: alice, bob"),
        Answer("in dev: alice"),
    ]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("lobyb", "there is no room 'lobyb' (did you mean 'lobby'?)"),
        ("nowhere", "there is no room 'nowhere'"),
        ("a,b", "there is no room 'a,b'"),
    ],
)
async def test_who_is_refused_for_a_room_that_nobody_is_in(chat: Chat, typed: str, reason: str) -> None:
    await chat.join("alice")
    [connection] = core_of(chat.server).hub.clients()
    outcome = await run_command(CommandRequest("who", typed), connection)
    assert outcome == Refuse(reason, "no_such_room")


async def test_who_shows_how_many_connections_somebody_has(chat: Chat) -> None:
    await chat.join("alice")
    bob = await chat.join("bob")
    connection, _ = core_of(chat.server).hub.clients()
    connection.presence.connections += (new_connection(chat.server, name="alice"),)
    await bob.say("/who")
    await bob.hears("* here: alice (2 connections), bob")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lunch", "alice (away: lunch)"),
        ("back at ten to three, or so I hope", "alice (away: back at ten to three, or so I hope)"),
        ("back at ten to three, or so I hope now", "alice (away: back at ten to three, or so I hope now)"),
        (
            "back at ten to three, or so I hope, but not before",
            "alice (away: back at ten to three, or so I hope, b...)",
        ),
        ("好" * 50, f"alice (away: {'好' * 37}...)"),
        ("", "alice"),
    ],
)
async def test_who_shows_why_somebody_is_away(chat: Chat, text: str, shown: str) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/away before", f"/away {text}")
    await chat.settled()
    await bob.say("/who")
    await bob.hears(f"* here: {shown}, bob")


async def test_who_shows_connections_and_why_somebody_is_away_together(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/away lunch")
    await alice.hears("* you are away: lunch")
    [connection] = core_of(chat.server).hub.clients()
    connection.presence.connections += (new_connection(chat.server, name="alice"),)
    await alice.say("/who")
    await alice.hears("* here: alice (2 connections, away: lunch)")


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
        "* nobody named bob has left since the server started",
    )
