"""Slash commands: how they are typed, and the table of all of them."""

import dataclasses

import pytest

from trichat import Client, Command, PluginError
from trichat._commands import command_table


def do_nothing(client: Client, arguments: str) -> None:
    """Run as a command would."""


WHO = Command("who", "show who is here", do_nothing)
HELP = Command("help", "show all commands", do_nothing, arguments="[COMMAND]")
OTHER_WHO = Command("who", "ask an oracle", do_nothing)


@pytest.mark.parametrize(("command", "usage"), [(WHO, "/who"), (HELP, "/help [COMMAND]")])
def test_usage_is_what_one_types(command: Command, usage: str) -> None:
    assert command.usage == usage


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WHO.name = "whom"  # type: ignore[misc]


def test_the_table_has_the_commands_of_all_plugins_by_name() -> None:
    table = command_table([("commands", [WHO]), ("quiet", []), ("manual", iter([HELP]))])

    assert list(table) == ["who", "help"]
    assert table["who"] == dataclasses.replace(WHO, plugin="commands")
    assert table["help"] == dataclasses.replace(HELP, plugin="manual")


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


@pytest.mark.parametrize("name", ["WHO", "/who", "who is", "", "2", "-"])
def test_a_command_that_nobody_could_type_is_refused_naming_the_plugin(name: str) -> None:
    with pytest.raises(PluginError, match=r"^plugin 'oracle' contributes .*; a command has a name like 'roll'"):
        command_table([("oracle", [dataclasses.replace(WHO, name=name)])])


def test_what_is_no_command_is_refused_naming_the_plugin() -> None:
    with pytest.raises(PluginError, match=r"^plugin 'oracle' contributes 'who'"):
        command_table([("oracle", ["who"])])  # type: ignore[list-item]
