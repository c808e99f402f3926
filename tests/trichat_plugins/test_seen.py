"""The plugin `seen`: `/seen NAME` tells when somebody left, and why."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from client_kit import new_client
from trichat_plugins.seen import REMEMBERED, Seen

from trichat import Client, Refuse, Server
from trichat._plugins.commands import marked_commands
from trichat.testing import Chat

_LEFT = re.compile(r"(?:\* )?(?P<name>.+) left at (?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC: (?P<how>.*)")


SERVER = Server(plugins={}, listeners=[])
"""A server that does not run: all that is asked of it is the time, and who is there."""


def client(name: str) -> Client:
    return new_client(SERVER, name=name)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def ask(seen: Seen) -> Callable[[str], str]:
    """Type `/seen NAME` and return the answer."""

    def answer(name: str) -> str:
        [command] = marked_commands(seen)
        connection = client("asker")
        answer = command.run(connection, name)
        assert isinstance(answer, str | Refuse)
        return answer.reason if isinstance(answer, Refuse) else answer

    return answer


# The plugin alone.


def test_who_left_is_remembered_with_the_time_and_the_reason(seen: Seen, ask: Callable[[str], str]) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    seen.on_disconnect(client("alice"), "closed the connection")
    match = _LEFT.fullmatch(ask("alice"))
    assert match is not None
    assert match["name"] == "alice"
    assert match["how"] == "closed the connection"
    when = datetime.strptime(f"{match['when']} +0000", "%Y-%m-%d %H:%M:%S %z")
    assert before <= when <= before + timedelta(minutes=1)


def test_the_last_departure_counts(seen: Seen, ask: Callable[[str], str]) -> None:
    seen.on_disconnect(client("alice"), "goodbye, alice")
    seen.on_disconnect(client("bob"), "goodbye, bob")
    seen.on_disconnect(client("alice"), "too slow")
    assert ask("alice").endswith("UTC: too slow")
    assert ask("bob").endswith("UTC: goodbye, bob")


def test_who_never_left_is_not_known(ask: Callable[[str], str]) -> None:
    assert ask("carol") == "nobody named carol has left since the server started"


def test_who_had_no_name_takes_nobody_elses_place(seen: Seen, ask: Callable[[str], str]) -> None:
    for number in range(REMEMBERED):
        seen.on_disconnect(client(f"guest {number}"), "left")
    seen.on_disconnect(client(""), "no name in time")
    assert "nobody named" not in ask("guest 0")


@pytest.mark.parametrize("written", ["aLICE", "\u0430lice", "alice\U0001d159"], ids=ascii)
def test_a_name_is_known_however_it_is_written_and_told_as_it_was(
    seen: Seen, ask: Callable[[str], str], written: str
) -> None:
    seen.on_disconnect(client("Alice"), "goodbye, Alice")
    match = _LEFT.fullmatch(ask(written))
    assert match is not None
    assert (match["name"], match["how"]) == ("Alice", "goodbye, Alice")


def test_what_cannot_be_a_name_has_not_left(ask: Callable[[str], str]) -> None:
    assert ask("a:b") == "nobody named a:b has left since the server started"


@pytest.mark.parametrize("name", ["", "alice"])
def test_a_name_has_to_be_given(seen: Seen, ask: Callable[[str], str], name: str) -> None:
    seen.on_disconnect(client(name), "left")
    assert ask("") == "usage: /seen NAME"


def test_a_thousand_departures_are_remembered_and_the_oldest_is_forgotten_first(
    seen: Seen, ask: Callable[[str], str]
) -> None:
    for number in range(1002):
        seen.on_disconnect(client(f"guest {number}"), "left")
    known = [number for number in (0, 1, 2, 3, 1001) if "nobody named" not in ask(f"guest {number}")]
    assert known == [2, 3, 1001]


def test_who_left_again_is_not_the_oldest(seen: Seen, ask: Callable[[str], str]) -> None:
    for name in ("alice", "bob", "alice", *(f"guest {number}" for number in range(REMEMBERED - 1))):
        seen.on_disconnect(client(name), "left")
    assert "nobody named" not in ask("alice")
    assert "nobody named" in ask("bob")


# In a running server.


async def test_seen_tells_how_somebody_left(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("Bob the Builder")
    bob.hang_up()
    await alice.hears("* Bob the Builder joined", "* Bob the Builder left")
    await alice.say("/seen Bob the Builder")
    match = _LEFT.fullmatch(await alice.next_line() or "")
    assert match is not None
    assert match["name"] == "Bob the Builder"
    assert match["how"] == "closed the connection"


async def test_seen_tells_a_goodbye(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await bob.say("bye")
    await bob.rest()
    await alice.hears("* bob joined", "* bob left")
    await alice.say("/seen bob")
    match = _LEFT.fullmatch(await alice.next_line() or "")
    assert match is not None
    assert match["how"] == "goodbye, bob"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("/seen", "* usage: /seen NAME"),
        ("/seen carol", "* nobody named carol has left since the server started"),
        ("/seen alice", "* alice is here"),
        ("/seen ALICE", "* alice is here"),
        ("/seen \u0430lice", "* alice is here"),
    ],
)
async def test_seen_answers_who_asks(chat: Chat, typed: str, answer: str) -> None:
    alice = await chat.join("alice")
    await alice.say(typed)
    await alice.hears(answer)


async def test_who_came_back_is_here(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    bob.hang_up()
    await alice.hears("* bob joined", "* bob left")
    await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/seen bob")
    await alice.hears("* bob is here")
