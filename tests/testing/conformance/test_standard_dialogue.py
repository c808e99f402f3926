"""The dialogue of a conformance run: who says what, and in which order."""

from pathlib import Path
from typing import Any, Literal

import pytest

from trichat import Client, Command, command
from trichat.testing import Chat, Subject
from trichat.testing._conformance.standard_dialogue import dialogue, odd_lines

BAD_PLUGINS = Path(__file__).parents[1] / "bad_plugins"


class Commands:
    @command("roll", help="")
    def roll(self, client: Client, sides: int, times: int = 1) -> None: ...

    @command("paint", help="")
    def paint(self, client: Client, color: Literal["red", "blue"]) -> None: ...

    @command("tell", help="")
    def tell(self, client: Client, name: str) -> None: ...

    @command("time", help="")
    def time(self, client: Client) -> None: ...

    @command("bye", help="")
    def bye(self, client: Client, why: str = "") -> None: ...


def lines(name: str) -> list[str]:
    from trichat._plugins.commands import marked_commands

    return next(list(odd_lines(each)) for each in marked_commands(Commands()) if each.name == name)


def test_each_parameter_gets_what_is_odd_for_its_type() -> None:
    huge = "1" + "0" * 30
    assert lines("roll") == [
        *(f"/roll {sides} {huge}" for sides in ("0", "-1", "1", huge)),
        *(f"/roll {huge} {times}" for times in ("0", "-1", "1", huge)),
    ]


def test_a_choice_gets_each_of_its_values() -> None:
    assert lines("paint") == ["/paint red", "/paint blue"]


def test_a_text_gets_names_and_what_is_none() -> None:
    assert lines("tell")[:2] == ["/tell bob", "/tell nobody"]


@pytest.mark.parametrize("name", ["time", "bye"])
def test_what_has_no_parameters_or_ends_the_dialogue_is_not_tried(name: str) -> None:
    assert lines(name) == []


def test_neither_is_a_command_whose_parameters_nobody_knows() -> None:
    def run(client: Client, text: str) -> None: ...

    assert list(odd_lines(Command("old", "", run))) == []


async def said(chat: Chat, plugin: str = str(BAD_PLUGINS / "hangs.py"), **how: Any) -> list[str]:
    await dialogue(chat, Subject(plugin), **how)
    return [line for line in chat.dialogue.lines() if "> " in line and "< " not in line]


async def test_three_people_meet_say_all_there_is_to_say_and_one_leaves(chat: Chat) -> None:
    lines = await said(chat)
    assert lines[:2] == ["alice> alice", "bob> bob"]
    assert lines[3:5] == ["alice> good morning", "alice> how are you?"]
    assert "alice> !poke" in lines
    assert sorted(lines[-4:-2]) == ["alice> alice speaks, 0 before", "carol> carol speaks, 1 before"]
    assert sorted(lines[-2:]) == ["alice> alice speaks, 1 before", "carol> carol speaks, 0 before"]
    assert [member.name for member in chat.server.members()] == ["alice", "carol"]


async def test_one_goes_to_another_room_takes_another_name_and_says_something_in_private(chat: Chat) -> None:
    lines = await said(chat, at_once=False)
    place = lines.index("bob> /join den")
    assert lines[place + 1 : place + 3] == ["bob> /nick rob", "bob> is anybody here?"]
    assert "alice< * bob to you: this is between the two of us" in chat.dialogue.lines()


async def test_of_the_commands_its_own_are_said(chat: Chat) -> None:
    lines = await said(chat, "seen")
    assert {"alice> /seen", "alice> /seen bob"} <= set(lines)
    assert not {"alice> /who", "alice> /seen nobody"} & set(lines)


async def test_those_of_others_and_odd_lines_are_said_if_wanted(chat: Chat) -> None:
    assert {"alice> /who", "alice> /who bob", "alice> /seen nobody"} <= set(await said(chat, odd=True))


async def test_nothing_is_said_at_once_if_it_has_to_be_the_same_dialogue_each_time(chat: Chat) -> None:
    assert not any("speaks" in line for line in await said(chat, at_once=False))
