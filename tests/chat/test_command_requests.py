"""Slash commands that clients give: run for them alone, and refused in one sentence."""

from collections.abc import Iterable

import pytest
import trio

from trichat import Client, Command, Refuse, Room, command, hookimpl, operators
from trichat._chat.command_requests import run_command
from trichat._fronts.front import Answer, Outcome
from trichat._fronts.requests import Command as CommandRequest
from trichat._server import core_of
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
    "/A/B",
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
    [record] = [record for record in caplog.records if record.name == "trichat.commands"]
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
    [record] = [record for record in caplog.records if record.name == "trichat.commands"]
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


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("/dance", "* there is no command /dance; a space in front of the slash makes it text"),
        ("/dance all night", "* there is no command /dance; a space in front of the slash makes it text"),
        ("/rol", "* there is no command /rol (did you mean '/roll'?); a space in front of the slash makes it text"),
    ],
)
async def test_an_unknown_command_is_refused_with_the_nearest_one(
    virtual_time: object, games: Games, typed: str, answer: str
) -> None:
    async with running([games]) as chat:
        alice = await chat.join("alice")
        await alice.say(typed)
        await alice.hears(answer)


class House:
    """A plugin with a command for operators."""

    @command("light", help="switch the light", who=operators)
    def light(self, client: Client) -> str:
        return f"the light is on, {client.name}"


@pytest.mark.chat(plugins=[House])
async def test_a_command_for_operators_is_neither_run_nor_suggested_for_others(chat: Chat) -> None:
    alice, root = await chat.join("alice", address="10.0.0.7"), await chat.join("root")
    await alice.hears("* root joined")
    await alice.say("/light", "/ligh")
    await alice.hears(
        "* /light is for operators", "* there is no command /ligh; a space in front of the slash makes it text"
    )
    await root.say("/light", "/ligh")
    await root.hears(
        "* the light is on, root",
        "* there is no command /ligh (did you mean '/light'?); a space in front of the slash makes it text",
    )


class Removal:
    """A plugin with a command for those who may kick in the room that they are in, which bob may in the lobby."""

    @command("kick", help="remove somebody", action="kick")
    def kick(self, client: Client) -> str:
        return f"kicked by {client.name}"

    @hookimpl
    def permits(self, client: Client, action: str, room: str) -> bool | Refuse:
        if client.name == "carol" and action == "kick":
            return Refuse("carol has kicked enough")
        return client.name == "bob" and action == "kick" and room == "lobby"


@pytest.mark.chat(plugins=[Removal])
async def test_a_command_with_an_action_is_run_for_those_who_may_do_that_in_their_room(chat: Chat) -> None:
    unknown = "* there is no command /kic (did you mean '/nick'?); a space in front of the slash makes it text"
    alice, bob = await chat.join("alice", address="10.0.0.7"), await chat.join("bob", address="10.0.0.7")
    carol, root = await chat.join("carol"), await chat.join("root")
    for person in (alice, bob, carol, root):
        await chat.settled()
        await person.unheard()
        await person.say("/kick", "/kic")
    await alice.hears("* /kick is for operators", unknown)
    await bob.hears("* kicked by bob", unknown.replace("/nick", "/kick"))
    await carol.hears("* carol has kicked enough", unknown)
    await root.hears("* kicked by root", unknown.replace("/nick", "/kick"))


async def give_in_two_rooms(chat: Chat, *requests: CommandRequest) -> list[Outcome]:
    """Give commands as bob, who is in the lobby and in dev, and speaks in dev."""
    await chat.join("bob", address="10.0.0.7")
    [connection] = core_of(chat.server).hub.clients()
    core_of(chat.server).hub.enter(connection, "dev")
    return [await run_command(request, connection) for request in requests]


class Signpost:
    """A plugin with commands that tell the room."""

    @command("where", help="tell the room")
    def where(self, client: Client, here: Room) -> str:
        return here

    @command("soon", help="tell the room after a while")
    async def soon(self, client: Client, here: Room) -> str:
        await trio.sleep(1)
        return here


@pytest.mark.chat(plugins=[Signpost])
async def test_a_command_gets_the_room_in_which_it_is_given(chat: Chat) -> None:
    requests = [CommandRequest(name, room=room) for name in ("where", "soon") for room in ("lobby", "")]
    assert await give_in_two_rooms(chat, *requests) == [Answer("lobby"), Answer("dev")] * 2


@pytest.mark.chat(plugins=[Removal])
async def test_a_command_with_an_action_is_for_those_who_may_do_that_in_the_room_of_the_command(chat: Chat) -> None:
    requests = [CommandRequest(name, room=room) for name in ("kick", "kic") for room in ("lobby", "dev")]
    assert await give_in_two_rooms(chat, *requests) == [
        Answer("kicked by bob"),
        Refuse("/kick is for operators", "not_permitted"),
        Refuse("there is no command /kic (did you mean '/kick'?)", "unknown_command"),
        Refuse("there is no command /kic (did you mean '/nick'?)", "unknown_command"),
    ]


@pytest.mark.chat(plugins=[Signpost])
async def test_a_command_for_a_room_that_its_client_is_not_in_is_refused(chat: Chat) -> None:
    requests = [
        CommandRequest("where", room="den"),
        CommandRequest("whe", room="den"),
        CommandRequest("where", room="-"),
    ]
    assert await give_in_two_rooms(chat, *requests) == [
        Refuse("you are not in den", "not_in_room"),
        Refuse("you are not in den", "not_in_room"),
        Refuse("a room cannot be named '-'", "no_such_room"),
    ]


@pytest.mark.parametrize(
    ("request_", "heard"),
    [
        (CommandRequest("me", "waves", room="lobby"), "** bob waves"),
        (CommandRequest("topic", "soup", room="lobby"), "* bob set the topic: soup"),
    ],
)
async def test_what_a_built_in_command_says_is_said_in_the_room_of_the_command(
    chat: Chat, request_: CommandRequest, heard: str
) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    _, connection = core_of(chat.server).hub.clients()
    core_of(chat.server).hub.enter(connection, "dev")
    await run_command(request_, connection)
    await alice.hears("* bob joined", heard)
    assert heard in await bob.unheard()


@pytest.mark.chat(plugins=[Signpost])
async def test_the_room_of_a_command_is_found_however_it_is_written(chat: Chat) -> None:
    requests = [CommandRequest("where", room=room) for room in ("#Lobby", "DEV")]
    assert await give_in_two_rooms(chat, *requests) == [Answer("lobby"), Answer("dev")]


@pytest.mark.chat(plugins=[Signpost])
async def test_a_client_that_is_in_no_room_may_give_commands(chat: Chat) -> None:
    await chat.join("bob")
    [connection] = core_of(chat.server).hub.clients()
    core_of(chat.server).hub.leave(connection, "lobby")
    assert await run_command(CommandRequest("where"), connection) == Answer("")


@pytest.mark.chat(plugins=[Signpost])
async def test_a_command_gets_its_room_from_the_version_that_replaces_its_plugin(chat: Chat) -> None:
    outcomes: list[Outcome] = []

    async def give() -> None:
        outcomes.extend(await give_in_two_rooms(chat, CommandRequest("where", room="lobby")))

    async with trio.open_nursery() as nursery:
        with core_of(chat.server).plugins.gates.holding("signpost"):
            nursery.start_soon(give)
            await chat.settled()
            assert outcomes == []
    assert outcomes == [Answer("lobby")]


class Hanging:
    """Hangs in each hook that a command can lead to."""

    @hookimpl
    async def on_enter(self, room: str) -> None:
        if room == "den":
            await trio.sleep_forever()

    @hookimpl
    async def on_rename(self) -> None:
        await trio.sleep_forever()

    @hookimpl
    async def on_message(self) -> None:
        await trio.sleep_forever()


@pytest.mark.chat(plugins=[Hanging])
@pytest.mark.parametrize(
    ("typed", "hook"), [("/join den", "on_enter"), ("/nick al", "on_rename"), ("/me waves", "on_message")]
)
async def test_a_plugin_that_hangs_is_blamed_and_not_the_command_that_asked_it(
    chat: Chat, caplog: pytest.LogCaptureFixture, typed: str, hook: str
) -> None:
    alice = await chat.join("alice")
    await alice.say(typed)
    patience = 2 * chat.server.options.hook_timeout
    assert await alice.next_line(patience) == "* the plugin 'hanging' failed"
    [failure] = [record.getMessage() for record in caplog.records if record.name == "trichat.plugins"]
    assert failure.startswith(f"plugin 'hanging' failed in {hook}: it took longer than hook_timeout")
    assert (chat.server.clients[0].name, chat.server.clients[0].room) == ("alice", "lobby")
