"""Private lines that are not private: for each mistake, a plugin or a server that makes it."""

from pathlib import Path

import pytest
from scenario_kit import NO_LOG

from trichat import Client, Person, hookimpl
from trichat._chat.client import Connection
from trichat.testing import Chat, Run
from trichat.testing._exploring.private_lines import private_lines_are_private
from trichat.testing._exploring.run import play
from trichat.testing._probing.checkpoint_probe import Probe

SECRET = "the key is under the mat"


async def whisper(chat: Chat) -> None:
    """Alice tells bob something in private, and carol is there."""
    alice, _, _ = await chat.join("alice"), await chat.join("bob"), await chat.join("carol")
    await alice.say(f"/msg bob {SECRET}")
    await chat.settled()


def played(folder: Path, *plugins: type, log: bool = False) -> Run:
    return play(whisper, Run(folder, Probe()), plugins=plugins, config=None if log else NO_LOG)


def found(run: Run) -> str:
    """Return what the invariant says."""
    with pytest.raises(AssertionError) as caught:
        private_lines_are_private(run)
    return str(caught.value).partition("\nassert ")[0]  # pytest adds the values


def test_what_reaches_the_two_alone_is_private(tmp_path: Path) -> None:
    run = played(tmp_path, log=True)
    private_lines_are_private(run)
    assert [tuple(told) for told in run.witness.told] == [("alice", "bob", SECRET)]


class Gossip:
    """Passes on to everybody what it is asked about."""

    @hookimpl
    def on_tell(self, client: Client, other: Person, text: str) -> None:
        for each in client.server.clients:
            if each.name not in (client.name, other.name):
                each.send(f"have you heard? {text}")


def test_somebody_else_hears_it(tmp_path: Path) -> None:
    assert found(played(tmp_path, Gossip)) == (f"alice told bob {SECRET!r}, and carol has '* have you heard? {SECRET}'")


class Archive:
    """Has what it is asked about written to the log."""

    @hookimpl
    async def on_tell(self, client: Client, text: str) -> None:
        await client.server.say("archive", text)


def test_it_is_in_the_log(tmp_path: Path) -> None:
    said = found(played(tmp_path, Archive, log=True))
    assert said.startswith(f"alice told bob {SECRET!r}, and the log has '2")
    assert said.endswith(f" archive ** {SECRET}'")


class Repeater:
    """Says it in the room, as if alice had."""

    @hookimpl
    async def on_tell(self, client: Client, text: str) -> None:
        await client.say(text)


def test_what_was_said_in_a_room_as_well_is_no_secret(tmp_path: Path) -> None:
    private_lines_are_private(played(tmp_path, Repeater, log=True))


def test_it_does_not_reach_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "as_seen", lambda *_: None)
    assert found(played(tmp_path)) == f"bob did not hear '* alice to you: {SECRET}'"


class Insistent:
    """Sends it once more, as it will arrive."""

    @hookimpl
    def on_tell(self, client: Client, other: Person, text: str) -> None:
        other.send(f"{client.name} to you: {text}")


def test_it_reaches_the_other_twice(tmp_path: Path) -> None:
    assert found(played(tmp_path, Insistent)) == (
        f"bob heard '* alice to you: {SECRET}' 2 times, but it was told 1 times"
    )


async def ignores(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.say("/ignore alice")
    await alice.rename("al")
    await alice.tell("bob", SECRET)
    await chat.settled()


def test_who_ignores_somebody_need_not_hear_it(tmp_path: Path) -> None:
    run = play(ignores, Run(tmp_path, Probe()), config=NO_LOG)
    private_lines_are_private(run)
    assert run.witness.told
