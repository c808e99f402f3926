"""Reminders: said in time, once, and also after a restart."""

from pathlib import Path

import pytest
import trio

from trichat import StorageError
from trichat.testing import Chat, Person, cancel_everywhere, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "reminder.py"

MINUTE = 60.0


@pytest.fixture
def chat_plugins() -> list[Path]:
    return [EXAMPLE]


async def wants_tea(chat: Chat, minutes: str = "10") -> Person:
    """Somebody who is to be reminded of the tea."""
    alice = await chat.join("alice")
    await alice.say(f"/remind {minutes} the tea is ready")
    await alice.hears(f"* you will be reminded in {minutes} minutes")
    return alice


async def test_the_room_is_reminded_in_time_and_not_before(chat: Chat) -> None:
    alice, bob = await wants_tea(chat), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.hears_nothing(9.9 * MINUTE)
    await trio.sleep(0.1 * MINUTE)
    await alice.hears("* alice, remember: the tea is ready")
    await bob.hears("* alice, remember: the tea is ready")


async def test_what_comes_due_first_is_said_first(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/remind 20 third", "/remind 0 first", "/remind 10.5 second")
    await trio.sleep(21 * MINUTE)
    said = [line for line in await alice.unheard() if "remember" in line]
    assert said == [f"* alice, remember: {word}" for word in ("first", "second", "third")]


async def test_it_survives_a_restart_and_is_said_once(tmp_path: Path, virtual_time: object) -> None:
    async with running([EXAMPLE], folder=tmp_path) as chat:
        await wants_tea(chat)
    async with running([EXAMPLE], folder=tmp_path) as chat:
        alice = await chat.join("alice")
        await alice.hears_nothing(9.9 * MINUTE)
        await trio.sleep(0.1 * MINUTE)
        await alice.hears("* alice, remember: the tea is ready")
    async with running([EXAMPLE], folder=tmp_path) as chat:
        assert await chat.server.storage("reminder").items() == {}


async def test_what_came_due_while_the_server_was_down_is_in_the_history(tmp_path: Path, virtual_time: object) -> None:
    async with running([EXAMPLE], folder=tmp_path) as chat:
        await chat.server.storage("reminder").set("key", {"due": 0, "room": "lobby", "name": "bob", "text": "lunch"})
    async with running([EXAMPLE], folder=tmp_path) as chat:
        await chat.settled()
        bob = chat.connect_silently(name="bob")
        await bob.say("bob")
        assert any(line.endswith("] * bob, remember: lunch") for line in await bob.hears_up_to("* welcome, "))


@pytest.mark.parametrize("minutes", ["-1", "10081", "nan", "inf"])
async def test_what_is_no_time_of_this_week_is_refused(chat: Chat, minutes: str) -> None:
    alice = await chat.join("alice")
    await alice.say(f"/remind {minutes} tea")
    assert "* you will" not in f"{await alice.next_line()}"
    assert await chat.server.storage("reminder").items() == {}


async def test_what_is_no_reminder_is_answered_with_the_usage(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/remind", "/remind 10")
    await alice.hears(*["* usage: /remind MINUTES TEXT"] * 2)


async def test_nothing_is_promised_that_cannot_be_kept(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_full(*_: object) -> None:
        raise StorageError("storage.sqlite3: database or disk is full")

    alice = await chat.join("alice")
    monkeypatch.setattr("trichat.Storage.set", is_full)
    await alice.say("/remind 0 tea")
    await alice.hears("* /remind of the plugin 'reminder' failed")
    await alice.hears_nothing(MINUTE)


async def test_a_disk_that_fails_later_costs_nobody_a_reminder(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def is_full(*_: object) -> None:
        raise StorageError("storage.sqlite3: database or disk is full")

    monkeypatch.setattr("trichat.Storage.delete", is_full)
    alice = await chat.join("alice")
    await alice.say("/remind 0 tea", "/remind 1 coffee")
    await trio.sleep(2 * MINUTE)
    assert [line for line in await alice.unheard() if "remember" in line] == [
        "* alice, remember: tea",
        "* alice, remember: coffee",
    ]
    assert (
        caplog.messages
        == ["alice will be reminded again after a restart: storage.sqlite3: database or disk is full"] * 2
    )


async def is_reminded(chat: Chat) -> None:
    alice = await wants_tea(chat, "1")
    await trio.sleep(MINUTE)
    await alice.hears("* alice, remember: the tea is ready")


def test_it_survives_a_cancellation_anywhere() -> None:
    cancel_everywhere(is_reminded, plugins=[EXAMPLE], targets=["hook", "lifespan", "server"])
