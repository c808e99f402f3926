"""Slash commands: how they are typed, and the table of all of them."""

import dataclasses
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Literal

import pytest
from client_kit import new_client, new_connection
from made_kit import Made

from trichat import Client, Command, PluginError, Refuse, Room, Server, command, operators
from trichat._plugins.commands import command_table, marked_commands, parameter_types
from trichat.testing import running


def do_nothing(client: Client, arguments: str) -> None:
    """Run as a command would."""


WHO = Command("who", "show who is here", do_nothing)
HELP = Command("help", "show all commands", do_nothing, arguments="[COMMAND]")
OTHER_WHO = Command("who", "ask an oracle", do_nothing)


@pytest.mark.parametrize(("given", "usage"), [(WHO, "/who"), (HELP, "/help [COMMAND]")])
def test_usage_is_what_one_types(given: Command, usage: str) -> None:
    assert given.usage == usage


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WHO.name = "whom"  # type: ignore[misc]


def test_the_table_has_the_commands_of_all_plugins_by_name() -> None:
    table = command_table([("commands", [WHO]), ("quiet", []), ("manual", iter([HELP]))])

    assert list(table) == ["who", "help"]
    assert table["who"] == dataclasses.replace(WHO, plugin="commands", group="commands")
    assert table["help"] == dataclasses.replace(HELP, plugin="manual", group="manual")


def test_a_command_is_in_the_group_that_it_names_or_in_that_of_its_plugin() -> None:
    table = command_table([("commands", [dataclasses.replace(WHO, group="people"), HELP])])
    assert {name: each.group for name, each in table.items()} == {"who": "people", "help": "commands"}


def test_without_plugins_there_are_no_commands() -> None:
    assert command_table([]) == {}


def test_a_command_of_two_plugins_is_refused_naming_both() -> None:
    with pytest.raises(PluginError) as refusal:
        command_table([("commands", [HELP, WHO]), ("bye", []), ("oracle", [OTHER_WHO])])

    assert str(refusal.value) == "plugins 'commands' and 'oracle' both have the command /who"


@pytest.mark.parametrize("contribution", [None, WHO], ids=["nothing", "a command without a list"])
def test_a_contribution_that_is_not_a_list_of_commands_is_refused_naming_the_plugin(contribution: object) -> None:
    with pytest.raises(PluginError, match=r"^plugin 'oracle' failed in commands: .* not iterable"):
        command_table([("commands", [HELP]), ("oracle", contribution)])  # type: ignore[list-item]


def test_a_function_that_does_not_take_the_client_is_refused() -> None:
    class Forgetful:
        @command("tea", help="make tea")
        def tea(self) -> str:
            return "here you are"

    with pytest.raises(PluginError, match=r"plugin 'forgetful' .*: the function of /tea must take the client as its"):
        Server(plugins={"forgetful": Forgetful()})


@pytest.mark.parametrize("name", ["WHO", "/who", "who is", "", "2", "-"])
def test_a_command_that_nobody_could_type_is_refused_naming_the_plugin(name: str) -> None:
    with pytest.raises(PluginError, match=r"^plugin 'oracle' contributes .*; expected a Command with a name"):
        command_table([("oracle", [dataclasses.replace(WHO, name=name)])])


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("hint", 5, "str"),
        ("hint", ["a"], "str"),
        ("who", "everyone", "Who"),
        ("action", None, "str"),
        ("help", None, "str"),
        ("group", None, "str"),
        ("secret", "yes", "bool"),
        ("arguments", 1, "str"),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_naming_the_plugin(field: str, value: object, expected: str) -> None:
    wrong = dataclasses.replace(WHO, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=rf"^plugin 'oracle': {field} of /who is .*; expected {expected}$"):
        command_table([("oracle", [wrong])])


def test_what_is_no_command_is_refused_naming_the_plugin() -> None:
    with pytest.raises(PluginError, match=r"^plugin 'oracle' contributes 'who'"):
        command_table([("oracle", ["who"])])  # type: ignore[list-item]


# Marked functions


class Games:
    """A plugin whose commands are functions with types."""

    def __init__(self) -> None:
        self.called: list[tuple[object, ...]] = []

    @command("roll", "NdM", help="roll dice")
    def roll(self, client: Client, sides: int, times: int = 1) -> str:
        self.called.append((sides, times))
        return f"{times}d{sides}"

    @command("say-to", help="say something to one person")
    def say_to(self, client: Client, name: str, text: str) -> None:
        self.called.append((name, text))

    @command("sum", help="add numbers")
    async def sum(self, client: Client, *numbers: float) -> str:
        return f"{sum(numbers):g}"

    @command("light", help="switch the light", who=operators)
    def light(self, client: Client, state: Literal["on", "off"], room: str = "all") -> None:
        self.called.append((state, room))


@pytest.fixture
def games() -> Games:
    return Games()


@pytest.fixture
def alice() -> Client:
    return new_client(Server(plugins={}, listeners=[]))


def give(games: Games, client: Client, line: str) -> object:
    name, _, arguments = line.removeprefix("/").partition(" ")
    commands = {each.name: each for each in marked_commands(games)}
    return commands[name].run(client, arguments)


def test_each_marked_function_is_a_command(games: Games) -> None:
    assert sorted((each.usage, each.help) for each in marked_commands(games)) == [
        ("/light STATE [ROOM]", "switch the light"),
        ("/roll NdM", "roll dice"),
        ("/say-to NAME TEXT", "say something to one person"),
        ("/sum [NUMBERS ...]", "add numbers"),
    ]


def test_who_may_give_it_is_kept(games: Games) -> None:
    assert {each.name for each in marked_commands(games) if each.who is operators} == {"light"}


def permitting(*actions: str) -> Client:
    """Return a client that may do only this, besides what everyone may."""
    return new_client(Server(plugins={"rights": Made(permits=lambda action: action in actions)}, listeners=[]))


@pytest.mark.parametrize(
    ("given", "permitted", "reason"),
    [
        (Command("who", "show who is here", do_nothing), [], None),
        (Command("light", "switch the light", do_nothing, who=operators), [], "/light is for operators"),
        (Command("light", "switch the light", do_nothing, who=operators), ["operate"], None),
        (Command("kick", "remove somebody", do_nothing, action="kick"), [], "/kick is for operators"),
        (Command("kick", "remove somebody", do_nothing, action="kick"), ["kick"], None),
        (Command("kick", "remove somebody", do_nothing, action="kick"), ["operate"], None),
        (
            Command("hurry", "be fast", do_nothing, who=operators, action="unpaced"),
            ["unpaced"],
            "/hurry is for operators",
        ),
        (
            Command("hurry", "be fast", do_nothing, who=operators, action="unpaced"),
            ["operate"],
            "/hurry is not permitted",
        ),
        (Command("hurry", "be fast", do_nothing, who=operators, action="unpaced"), ["operate", "unpaced"], None),
        (Command("topic", "set the topic", do_nothing, action="topic"), [], None),
    ],
)
def test_a_command_is_for_those_who_may_do_what_it_does(
    given: Command, permitted: list[str], reason: str | None
) -> None:
    refusal = given.refusal(permitting(*permitted))
    assert refusal == (None if reason is None else Refuse(reason, "not_permitted"))


def test_a_marked_function_says_which_action_it_is() -> None:
    class Removal:
        @command("kick", help="remove somebody", action="kick")
        def kick(self, client: Client, name: str) -> None: ...

    [found] = marked_commands(Removal())
    assert found.action == "kick"


@pytest.mark.parametrize(
    ("line", "called"),
    [
        ("/roll 6", (6, 1)),
        ("/roll 6 2", (6, 2)),
        ("/roll  6   2", (6, 2)),
        ("/say-to bob good morning,  bob", ("bob", "good morning,  bob")),
        ("/light on", ("on", "all")),
        ("/light off kitchen and hall", ("off", "kitchen and hall")),
    ],
)
def test_words_are_converted_and_a_last_text_gets_the_rest(
    games: Games, alice: Client, line: str, called: tuple[object, ...]
) -> None:
    give(games, alice, line.strip())
    assert games.called == [called]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/roll", "usage: /roll NdM"),
        ("/roll 6 2 1", "usage: /roll NdM"),
        ("/roll six", "'six': Expected `int`, got `str`; usage: /roll NdM"),
        ("/roll 6 2.5", "'2.5': Expected `int`, got `str`; usage: /roll NdM"),
        ("/say-to bob", "usage: /say-to NAME TEXT"),
        ("/sum 1 two", "'two': Expected `float`, got `str`; usage: /sum [NUMBERS ...]"),
        ("/light dim", "'dim': Invalid enum value 'dim'; usage: /light STATE [ROOM]"),
    ],
)
def test_who_types_something_else_is_told_the_usage(games: Games, alice: Client, line: str, answer: str) -> None:
    assert give(games, alice, line) == Refuse(answer, "usage")
    assert games.called == []


@pytest.mark.parametrize(("line", "answer"), [("/sum", "0"), ("/sum 1 2.5", "3.5")])
async def test_it_may_be_async_and_take_any_number_of_words(
    games: Games, alice: Client, line: str, answer: str
) -> None:
    assert await give(games, alice, line) == answer  # type: ignore[misc]


class Accounts:
    """A plugin with a command that takes a secret."""

    @command("login", help="say who you are", group="people", secret=True)
    def login(self, client: Client, name: str, pin: int) -> str:
        return f"welcome back, {name}"


def test_a_marked_function_says_where_it_is_listed_and_what_is_secret() -> None:
    [found] = marked_commands(Accounts())
    assert (found.group, found.secret) == ("people", True)


@pytest.mark.parametrize("arguments", ["alice hunter2", "hunter2", "alice 1 hunter2"])
def test_the_usage_quotes_no_secret(alice: Client, arguments: str) -> None:
    [found] = marked_commands(Accounts())
    assert found.run(alice, arguments) == Refuse("usage: /login NAME PIN", "usage")


class Places:
    """A plugin whose commands ask for the room, at each place where a parameter can stand."""

    @command("first", help="takes the room first")
    def first(self, client: Client, here: Room, name: str = "nobody") -> str:
        return f"{name} in {here}"

    @command("between", help="takes the room between two words")
    def between(self, client: Client, count: int, here: Room, text: str) -> str:
        return f"{count} {text} in {here}"

    @command("last", help="takes the room after an optional word")
    def last(self, client: Client, name: str = "nobody", here: Room = Room("nowhere")) -> str:  # noqa: B008
        return f"{name} in {here}"

    @command("by-name", help="takes the room after all words")
    async def by_name(self, client: Client, *words: str, here: Room) -> str:
        return f"{'+'.join(words)} in {here}"

    @command("alone", help="takes nothing else")
    def alone(self, client: Client, *, here: Room) -> str:
        return here


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/first", "nobody in dev"),
        ("/first bob the builder", "bob the builder in dev"),
        ("/between 2 big rooms", "2 big rooms in dev"),
        ("/between 2", Refuse("usage: /between COUNT TEXT", "usage")),
        ("/last", "nobody in dev"),
        ("/last bob", "bob in dev"),
        ("/by-name a b", "a+b in dev"),
        ("/by-name", " in dev"),
        ("/alone", "dev"),
        ("/alone dev", Refuse("usage: /alone", "usage")),
    ],
)
async def test_a_parameter_for_the_room_is_not_a_word(alice: Client, line: str, answer: str | Refuse) -> None:
    name, _, arguments = line.removeprefix("/").partition(" ")
    [found] = [each for each in marked_commands(Places()) if each.name == name]
    answered = found.run_in(alice, arguments, "dev")
    assert (await answered if inspect.isawaitable(answered) else answered) == answer


def test_without_a_room_it_is_the_one_that_the_client_speaks_in() -> None:
    connection = new_connection(Server(plugins={}, listeners=[]))
    connection.room = "den"
    [found] = [each for each in marked_commands(Places()) if each.name == "alone"]
    assert found.run(connection.client, "") == "den"


def test_the_usage_and_the_words_leave_the_room_out() -> None:
    found = {each.name: each for each in marked_commands(Places())}
    assert found["between"].usage == "/between COUNT TEXT"
    assert parameter_types(found["between"]) == [int, str]


def test_the_room_cannot_stand_in_the_place_of_the_client() -> None:
    class Roomy:
        @command("where", help="tell the room")
        def where(self, here: Room, client: Client) -> str:
            return here

    with pytest.raises(PluginError, match="the function of /where must take the client as its first argument"):
        list(marked_commands(Roomy()))


def test_a_command_that_does_not_ask_for_the_room_is_run_without_it(alice: Client) -> None:
    given: list[tuple[Client, str]] = []
    Command("roll", "roll a die", lambda client, arguments: given.append((client, arguments))).run_in(alice, "6", "dev")
    assert given == [(alice, "6")]


def test_words_may_be_passed_by_name(alice: Client) -> None:
    class Shop:
        @command("buy", help="buy something")
        def buy(self, client: Client, *, what: str, count: int = 1) -> str:
            return f"{count} {what}"

    [found] = marked_commands(Shop())
    assert [found.run(alice, words) for words in ("tea", "tea 3")] == ["1 tea", "3 tea"]


def test_functions_of_a_module_are_marked_likewise(alice: Client) -> None:
    module = ModuleType("games")
    exec("from trichat import command\n@command('toss', help='toss')\ndef toss(client): return 'heads'", vars(module))
    [found] = marked_commands(module)
    assert found.run(alice, "") == "heads"


@pytest.mark.parametrize("name", ["Roll", "/roll", "", "roll it"])
def test_a_name_that_nobody_could_type_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a command; use a name like 'roll' or 'roll-2'"):
        command(name, help="roll")


async def test_in_a_chat_they_are_listed_run_and_kept_for_operators(virtual_time: object) -> None:
    async with running([Games]) as chat:
        alice = await chat.join("alice")
        bob = await chat.join("bob", address="10.0.0.7")
        await alice.hears("* bob joined")
        await alice.say("/roll 6 3")
        await alice.hears("* 3d6")
        await bob.say("/light on", "/help roll", "/help")
        await bob.hears(
            "* /light is for operators",
            "* /roll NdM - roll dice",
            "* group: games; plugin: games",
            "* games   /roll NdM  /say-to NAME TEXT  /sum [NUMBERS ...]",
        )
        assert not [line for line in await bob.unheard() if "/light" in line]
        await alice.say("/help")
        await chat.settled()
        assert (
            "* games   /light STATE [ROOM]  /roll NdM  /say-to NAME TEXT  /sum [NUMBERS ...]" in await alice.unheard()
        )


def test_commands_that_exit_are_a_fault_of_their_plugin() -> None:
    def contribution() -> Iterator[Command]:
        raise SystemExit(3)
        yield

    with pytest.raises(PluginError, match=r"plugin 'bad' failed in commands: SystemExit\(3\)"):
        command_table([("bad", contribution())])
