"""The cases of a check: what is struck, and what is said if there is no such case."""

from pathlib import Path

import pytest

from trichat.testing import Chat, NoSuchCase, Subject, Violation
from trichat.testing._conformance.cases import Cases, own_parts
from trichat.testing._conformance.standard_dialogue import enter, speak

BAD_PLUGINS = Path(__file__).parents[1] / "bad_plugins"


async def short_dialogue(chat: Chat) -> None:
    """Alice says something, and gives two commands."""
    alice = await enter(chat, "alice")
    await speak(chat, alice, "hello", "/seen bob", "/count")


def labels(kind: str, subject: Subject) -> list[str]:
    run = Cases(subject, short_dialogue).undisturbed()
    return [part.label for part in own_parts(run, kind, subject)]


PATIENT = """
import trio
from trichat import Client, command, hookimpl

@hookimpl
async def on_join() -> None:
    await trio.lowlevel.checkpoint()

@command("count", help="count")
async def count(client: Client) -> str:
    await trio.lowlevel.checkpoint()
    return "one"
"""


def test_calls_are_those_of_the_hooks_and_commands_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT, encoding="utf-8")

    assert labels("hook", Subject(str(tmp_path / "patient.py"))) == ["hook patient.on_join", "hook patient./count"]
    assert labels("hook", Subject("seen")) == []


def test_lifespans_are_those_of_the_plugin() -> None:
    assert labels("lifespan", Subject("chat_log")) == ["lifespan chat_log"]
    assert labels("lifespan", Subject("seen")) == []


def test_of_the_other_kinds_all_parts_count() -> None:
    assert labels("server", Subject("seen")) == ["server"]
    assert len(labels("client", Subject("seen"))) > 0


def test_each_checkpoint_is_counted_with_and_without_the_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT, encoding="utf-8")
    patient = Subject(str(tmp_path / "patient.py"))

    assert Cases(patient, short_dialogue).strike_each("lifespan") == "it never waits there"
    assert Cases(patient, short_dialogue).strike_each("hook") == "10 checkpoints"


def test_a_plugin_that_fails_though_nothing_goes_wrong_is_told() -> None:
    async def quits(chat: Chat) -> None:
        await speak(chat, await enter(chat, "alice"), "!quit")

    subject = Subject(str(BAD_PLUGINS / "exits.py"))
    with pytest.raises(AssertionError, match="plugin 'exits' failed in on_message"):
        Cases(subject, quits).undisturbed()


def test_what_is_broken_names_the_case_to_play_alone() -> None:
    subject = Subject(str(BAD_PLUGINS / "bare_except.py"))
    with pytest.raises(Violation, match=r"--only 'hook bare_except\.on_join @ 1 early'"):
        Cases(subject, short_dialogue).strike_each("hook")


def test_a_case_that_there_is_not_is_told() -> None:
    with pytest.raises(NoSuchCase, match=r"^hook seen\.on_join @ 1$"):
        Cases(Subject("seen", only="hook seen.on_join @ 1"), short_dialogue).strike_each("hook")
