"""What people on other fronts heard: once, and in the one order."""

from pathlib import Path

import pytest
from front_kit import ScriptFront
from scenario_kit import NO_LOG

from trichat.fronts import Join, Login
from trichat.testing import Chat, Person, Run
from trichat.testing._exploring.other_fronts import other_fronts_agree
from trichat.testing._exploring.private_lines import private_lines_are_private
from trichat.testing._exploring.run import play
from trichat.testing._probing.checkpoint_probe import Probe

SECRET = "the key is under the mat"


async def talk(chat: Chat) -> None:
    """Alice speaks on the line protocol, and ci listens in two rooms on another one."""
    alice = await chat.join("alice")
    await ScriptFront().connect(chat, Login("ci"), Join("dev"))
    await chat.settled()
    await alice.say("one", "two", "two", "/join dev", "three", f"/msg ci: {SECRET}")
    await chat.settled()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in which everything went well."""
    return play(talk, Run(tmp_path, Probe()), config=NO_LOG)


def ci_in(run: Run) -> Person:
    assert run.chat is not None
    return next(iter(run.chat.wires))


def test_what_was_sent_was_heard_once_and_in_order(run: Run) -> None:
    lines = [f"lobby> alice: {text}" for text in ("one", "two", "two")]
    place = ci_in(run).heard.index(lines[0])
    assert ci_in(run).heard[place : place + 3] == lines
    other_fronts_agree(run)


@pytest.mark.parametrize("line", ["lobby> alice: one", "lobby> alice: two", "dev> alice: three"])
def test_a_line_that_was_heard_once_more_than_it_was_sent_is_found(run: Run, line: str) -> None:
    heard = ci_in(run).heard
    heard.insert(heard.index("dev> alice: three") + 1, line)
    with pytest.raises(AssertionError, match=rf"guest2 saw '{line}' twice or too late; the server sent \["):
        other_fronts_agree(run)


def test_a_line_that_was_heard_before_an_earlier_one_is_found(run: Run) -> None:
    heard = ci_in(run).heard
    one, two = heard.index("lobby> alice: one"), heard.index("lobby> alice: two")
    heard[one], heard[two] = heard[two], heard[one]
    with pytest.raises(AssertionError, match="guest2 saw 'lobby> alice: one' twice or too late"):
        other_fronts_agree(run)


def test_a_private_line_to_somebody_on_another_front_is_no_betrayal(run: Run) -> None:
    assert any(SECRET in line for line in ci_in(run).heard)
    private_lines_are_private(run)
