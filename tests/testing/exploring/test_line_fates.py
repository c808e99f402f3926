"""What became of the lines that somebody said."""

import pytest

from trichat import Message
from trichat.testing import Person
from trichat.testing._chat.dialogue import Dialogue
from trichat.testing._exploring.line_fates import LineFates, as_heard, fates_of

WELCOME = "* welcome, alice; you are the first here; /help shows the commands"


def message(text: str, kind: str = "said", sender: str = "alice") -> Message:
    return Message(id=1, sender=sender, text=text, kind=kind)  # type: ignore[arg-type]


def became(said: list[str], heard: list[str], sent: list[Message]) -> LineFates:
    alice = Person("alice", Dialogue(), str)
    alice.name = "alice"
    alice.said = said
    alice.heard = ["* hello", WELCOME, *heard]
    return fates_of(alice, sent)


def test_a_line_that_came_back_was_passed_on() -> None:
    found = became(["hi"], ["alice: hi"], [message("hi")])
    assert (set(found.passed_on), found.unanswered) == ({"hi"}, 0)


def test_in_whatever_form_it_came_back() -> None:
    found = became(["hi"], ["* alice has said: hi"], [message("alice has said: hi", "notice", "")])
    assert (set(found.passed_on), found.unanswered) == ({"hi"}, 0)


def test_what_only_the_sender_is_told_is_an_answer() -> None:
    found = became(["/who"], ["* here: alice"], [])
    assert (set(found.passed_on), found.answers.total(), found.unanswered) == (set(), 1, 0)


def test_what_all_are_told_is_none() -> None:
    found = became(["/who"], ["* bob joined"], [message("bob joined", "joined", "bob")])
    assert (found.answers.total(), found.unanswered) == (0, 1)


def test_another_name_is_an_answer_to_the_one_who_took_it() -> None:
    sent = [Message("", "alice", kind="renamed", about="al"), Message("", "bob", kind="renamed", about="rob")]
    alice = Person("alice", Dialogue(), str)
    alice.heard = [WELCOME, "* alice is now al", "* bob is now rob"]
    alice.names = ["alice", "al"]
    alice.said = ["/nick al", "/nick"]
    found = fates_of(alice, sent)
    assert (dict(found.answers), found.unanswered) == ({"* alice is now al": 1}, 1)


def test_an_answer_may_be_for_many_lines() -> None:
    found = became(["a1", "b2", "c3"], ["* 3 messages were not sent: the disk is full"], [])
    assert (found.answers.total(), found.unanswered) == (3, 0)


def test_what_was_heard_before_the_welcome_is_not_of_interest() -> None:
    alice = Person("alice", Dialogue(), str)
    alice.said = ["hi"]
    alice.heard = ["* that name is taken", WELCOME]
    assert fates_of(alice, []).unanswered == 1


@pytest.mark.parametrize(
    ("heard", "lost", "told"),
    [
        pytest.param(["alice: one", "alice: two"], set(), 0, id="as before"),
        pytest.param(["alice: one"], {"two"}, 0, id="a line is gone"),
        pytest.param(["alice: one", "* not sent: the plugin failed"], {"two"}, 1, id="a line is refused"),
    ],
)
def test_it_is_compared_with_how_it_was_before(heard: list[str], lost: set[str], told: int) -> None:
    sent = [message("one"), message("two")]
    before = became(["one", "two"], ["alice: one", "alice: two"], sent)
    now = became(["one", "two"], heard, sent)
    assert (set(now.lost(before)), now.told(before)) == (lost, told)


def test_what_was_not_said_this_time_is_not_lost() -> None:
    before = became(["one", "two"], ["alice: one", "alice: two"], [message("one"), message("two")])
    assert became(["one"], ["alice: one"], [message("one")]).lost(before) == set()


def test_a_message_as_it_is_heard() -> None:
    assert as_heard(message("hi")) == "alice: hi"
