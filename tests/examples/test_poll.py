"""A poll, from the question to the result."""

from pathlib import Path

import pytest

from trichat.testing import Chat, Person

EXAMPLE = Path(__file__).parents[2] / "examples" / "poll.py"

# From where nobody is an operator.
ELSEWHERE = "10.0.0.7"


@pytest.fixture
def chat_plugins() -> list[Path]:
    return [EXAMPLE]


async def begun(chat: Chat) -> Person:
    """Somebody who asks what to eat."""
    alice = await chat.join("alice", ELSEWHERE)
    await alice.say("/poll  What do we eat?  pizza, Soup , pizza,,")
    await alice.hears("* alice asks: What do we eat? /vote pizza | Soup")
    return alice


async def test_people_are_asked_vote_and_hear_how_it_went(chat: Chat) -> None:
    alice = await begun(chat)
    bob = await chat.join("bob", ELSEWHERE)
    await alice.hears("* bob joined")
    await alice.say("/vote soup")
    await bob.say("/vote pizza", "/vote SOUP", "/poll")
    await alice.hears("* you have voted for Soup")
    await bob.hears("* you have voted for pizza", "* you have voted for Soup", "* What do we eat? pizza: 0, Soup: 2")
    await alice.say("/endpoll")
    await alice.hears("* the poll has ended: What do we eat? pizza: 0, Soup: 2")
    await alice.say("/poll")
    await alice.hears("* ask like this, with 2 to 10 options: /poll Lunch? pizza, soup")
    await bob.hears("* the poll has ended: What do we eat? pizza: 0, Soup: 2")


async def test_who_comes_back_in_other_letters_has_one_vote(chat: Chat) -> None:
    alice = await begun(chat)
    await alice.say("/vote soup", "bye")
    await chat.settled()
    alice = await chat.join("ALICE", ELSEWHERE)
    await alice.say("/vote pizza", "/poll")
    await alice.hears("* you have voted for pizza", "* What do we eat? pizza: 1, Soup: 0")


async def test_there_is_one_poll_at_a_time(chat: Chat) -> None:
    alice = await begun(chat)
    await alice.say("/poll Where? here, there")
    await alice.hears("* What do we eat? pizza: 0, Soup: 0 (/endpoll ends it)")


async def test_only_who_asked_and_operators_end_it(chat: Chat) -> None:
    await begun(chat)
    bob, root = await chat.join("bob", ELSEWHERE), await chat.join("root", "127.0.0.1")
    await bob.hears("* root joined")
    await bob.say("/endpoll")
    await bob.hears("* only alice and operators may end it")
    await root.say("/endpoll")
    await bob.hears("* the poll has ended: What do we eat? pizza: 0, Soup: 0")


@pytest.mark.parametrize(
    "text",
    ["", "Lunch", "Lunch?", "Lunch? soup", "? pizza, soup", "Lunch? soup, soup", f"Many? {','.join('abcdefghijk')}"],
)
async def test_what_is_no_question_is_answered_with_an_example(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    await alice.say(f"/poll {text}")
    await alice.hears("* ask like this, with 2 to 10 options: /poll Lunch? pizza, soup")


async def test_what_is_no_option_is_answered_with_those_there_are(chat: Chat) -> None:
    alice = await begun(chat)
    await alice.say("/vote fish", "/vote")
    await alice.hears("* 'fish' is not an option; vote for one of: pizza, Soup", "* usage: /vote OPTION")


async def test_without_a_poll_there_is_nothing_to_vote_for_and_nothing_to_end(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/vote soup", "/endpoll")
    await alice.hears("* there is no poll; start one with /poll Lunch? pizza, soup", "* there is no poll")
