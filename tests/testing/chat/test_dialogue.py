"""The dialogue of a chat: a record in the form of a transcript."""

from collections.abc import Iterable

import pytest
import trio
from scenario_kit import NO_LOG

from trichat import Client, command
from trichat.testing import Chat, NotHeard, running
from trichat.testing._chat.dialogue import Dialogue, visible, without_date
from trichat.testing._chat.person import Person
from trichat.testing._chat.transcript import Transcript

MEETING = """\
alice+
alice> alice
alice< * welcome to trichat; type your name and press Enter
alice< * welcome, alice; you are the first here; /help shows the commands; bye leaves
alice> hello
alice< alice: hello
alice!"""


def person(name: str) -> Person:
    return Person(name, Dialogue(), lambda: "")


async def test_it_reads_as_a_transcript_does(virtual_time: object) -> None:
    async with running(config=NO_LOG) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        alice.hang_up()
        assert str(chat.dialogue) == MEETING


async def test_every_line_of_it_is_a_line_of_a_transcript(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.say("hello", "  and a space in front", "")
    await trio.sleep(30)
    bob.reset()
    await alice.say("bye")
    await alice.rest()
    played = Transcript.parse("\n".join(chat.dialogue.lines()))
    assert [entry.text for entry in played.entries] == chat.dialogue.lines()
    for what in ("bob!!", "alice<", "--- 30s", "alice>   and a space in front"):
        assert what in chat.dialogue.lines()


@pytest.mark.parametrize(
    ("seconds", "noted"),
    [((30,), ["--- 30s"]), ((0.4,), []), ((1, 2), ["--- 3s"]), ((), [])],
)
async def test_time_that_passes_between_two_lines_is_noted_in_whole_seconds(
    virtual_time: object, seconds: Iterable[float], noted: list[str]
) -> None:
    dialogue = Dialogue()
    dialogue.note(person("alice"), "> one")
    for each in seconds:
        await trio.sleep(each)
    dialogue.note(person("alice"), "> two")
    assert dialogue.lines() == ["alice> one", *noted, "alice> two"]


async def test_time_before_the_first_line_is_not_part_of_it(virtual_time: object) -> None:
    await trio.sleep(30)
    dialogue = Dialogue()
    dialogue.note(person("alice"), "+")
    assert dialogue.lines() == ["alice+"]


async def test_only_on_the_line_protocol_is_it_known_what_is_secret() -> None:
    dialogue = Dialogue()
    dialogue.note(Person("ci", dialogue, lambda: "", "json"), "> alice !hunter2")
    dialogue.note(person("alice"), "> alice !hunter2")
    assert dialogue.lines() == ["ci> alice !hunter2", "alice> alice !***"]


async def test_many_small_pauses_add_up(virtual_time: object) -> None:
    dialogue = Dialogue()
    for _ in range(11):
        dialogue.note(person("alice"), "> tick")
        await trio.sleep(0.3)
    passed = sum(int(line[4:-1]) for line in dialogue.lines() if line.startswith("--- "))
    assert passed == 3


async def test_lines_can_be_asked_for_from_any_on() -> None:
    dialogue = Dialogue()
    assert len(dialogue) == 0
    dialogue.note(person("alice"), "> one")
    since = len(dialogue)
    dialogue.note(person("bob"), "> two")
    assert dialogue.lines(since) == ["bob> two"]
    assert len(dialogue) == 2


async def test_a_long_line_is_shown_in_part_but_kept_as_it_is() -> None:
    dialogue = Dialogue()
    dialogue.note(person("alice"), f"> {'x' * 1000}")
    assert dialogue.lines() == [f"alice> {'x' * 1000}"]
    assert str(dialogue).startswith("alice> xxxxxxxxxx")
    assert str(dialogue).endswith("xxxxx...")
    assert len(str(dialogue)) < 250


async def test_somebody_may_be_named_after_the_first_lines() -> None:
    dialogue, guest = Dialogue(), person("guest1")
    dialogue.note(guest, "+")
    guest.label = "alice"
    assert str(dialogue) == "alice+"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("[2026-11-22 13:29:00] alice: hi", "[date] alice: hi"),
        ("[2026-11-22 13:29:00] * alice joined", "[date] * alice joined"),
        ("[2026-11-22 13:29:00] alice: [2026-11-22 13:29:00]", "[date] alice: [2026-11-22 13:29:00]"),
        ("alice: [2026-11-22 13:29:00]", "alice: [2026-11-22 13:29:00]"),
        ("[yesterday] alice: hi", "[yesterday] alice: hi"),
        ("", ""),
    ],
)
def test_the_date_of_a_line_of_the_history_is_not_told(line: str, plain: str) -> None:
    assert without_date(line) == plain


async def test_the_history_is_noted_without_dates(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello")
    await chat.join("bob")
    assert "bob< [date] alice: hello" in chat.dialogue.lines()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("alice: schön 😀", "alice: schön 😀"),
        ("\x1b[31mred\t\u202e\ud800", "\\x1b[31mred\\t\\u202e\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_seen(line: str, shown: str) -> None:
    assert visible(line) == shown


class Accounts:
    """A plugin with a command that takes a secret."""

    @command("login", help="say who you are", secret=True)
    def login(self, client: Client, text: str) -> str:
        return "welcome back"


async def test_it_shows_no_secret(virtual_time: object) -> None:
    async with running([Accounts], NO_LOG) as chat:
        alice = chat.connect_silently(name="alice")
        await alice.say("alice !hunter2", "!hunter2")
        await alice.hears_up_to("* welcome, ")
        await alice.say("/login hunter2", "/login", "/who cares", "hello !world")
        await chat.settled()
        alice.hang_up()
    assert [line for line in chat.dialogue.lines() if line.startswith("alice>")] == [
        "alice> alice !***",
        "alice> !***",
        "alice> /login ***",
        "alice> /login",
        "alice> /who cares",
        "alice> hello !world",
    ]


async def test_a_failure_shows_no_secret(virtual_time: object) -> None:
    async with running([Accounts], NO_LOG) as chat:
        alice = chat.connect_silently(name="alice")
        await alice.say("alice !hunter2")
        await alice.hears_up_to("* welcome, ")
        await alice.say("/login hunter2")
        with pytest.raises(NotHeard) as failure:
            await alice.hears("* goodbye")
    assert "alice> /login ***\n" in str(failure.value)
    assert "hunter2" not in str(failure.value)


async def test_what_was_not_typed_after_all_is_taken_back_with_its_secret(virtual_time: object) -> None:
    dialogue = Dialogue()
    alice = person("alice")
    dialogue.note(alice, "> alice !one")
    dialogue.note(alice, "> alice !two")
    dialogue.take_back(alice, "> alice !one")
    assert dialogue.lines() == ["alice> alice !***"]
