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

    assert table == {"who": WHO, "help": HELP}


def test_without_plugins_there_are_no_commands() -> None:
    assert command_table([]) == {}


def test_a_command_of_two_plugins_is_refused_naming_both() -> None:
    with pytest.raises(PluginError) as refusal:
        command_table([("commands", [HELP, WHO]), ("bye", []), ("oracle", [OTHER_WHO])])

    assert str(refusal.value) == "plugins 'commands' and 'oracle' both have the command /who"


def test_names_that_differ_in_case_are_two_commands() -> None:
    assert list(command_table([("a", [WHO]), ("b", [dataclasses.replace(WHO, name="WHO")])])) == ["who", "WHO"]
