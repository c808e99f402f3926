"""A person with several connections: one name, one person, several ends.

Nothing in trichat has accounts yet. Here each name is an account of its own, so whoever gives the same name shares it.
"""

import pytest
from front_kit import ScriptFront

from trichat import Client, Refuse, hookimpl
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat.fronts import Join, Login, Part, Rename, Say
from trichat.testing import Chat


@pytest.fixture(autouse=True)
def _accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Hub.claim

    def share(self: Hub, connection: Connection, name: str) -> bool:
        return claim(self, connection, name, account=name)

    monkeypatch.setattr(Hub, "claim", share)


class Guard:
    """Lets nobody in from one address."""

    @hookimpl
    def on_join(self, client: Client) -> Refuse | None:
        return Refuse("not from there") if client.address == "10.0.0.7" else None


async def test_the_first_one_joins_and_the_last_one_leaves(chat: Chat) -> None:
    bob = await chat.join("bob")
    desk, laptop = await chat.join("alice"), await chat.join("alice")
    await bob.hears("* alice joined")
    await bob.say("/who")
    await bob.hears("* here: bob, alice (2 connections)")
    await laptop.say("hello")
    for person in (desk, laptop, bob):
        await person.hears("alice: hello")
    desk.hang_up()
    await chat.settled()
    await laptop.say("still here")
    await bob.hears("alice: still here")
    laptop.hang_up()
    await bob.hears("* alice left")
    assert chat.log == ["* bob joined", "* alice joined", "alice: hello", "alice: still here", "*quit alice"]
    assert chat.server.find("alice") is None


async def test_a_new_name_and_a_private_line_are_for_all_of_them(chat: Chat) -> None:
    bob = await chat.join("bob")
    desk, laptop = await chat.join("alice"), await chat.join("alice")
    await bob.hears("* alice joined")
    await bob.say("/msg alice psst")
    await bob.hears("* you to alice: psst")
    for person in (desk, laptop):
        await person.hears("* bob to you: psst")
    await laptop.say("/nick al", "/away lunch", "one")
    await desk.hears("* alice is now al", "al: one")
    await bob.hears("* alice is now al", "al: one")
    await bob.say("/who")
    await bob.hears("* here: bob, al (2 connections, away: lunch)")
    await desk.say("two")
    await bob.hears("al: two")


async def test_each_of_them_is_in_rooms_of_its_own(chat: Chat) -> None:
    front = ScriptFront()
    bob = await chat.join("bob")
    desk = await chat.join("alice")
    await bob.hears("* alice joined")
    bot = await front.connect(chat, Login("alice", room=""), Join("dev"), Join("lobby", limit=0))
    await bot.hears(
        "Login: ok", "entered dev as alice with nobody", "Join: ok", "entered lobby as alice with bob", "Join: ok"
    )
    await desk.say("/join dev")
    await desk.hears("[date] * alice joined", "* you are in dev; you are the first here")
    person = chat.server.find("alice")
    assert person is not None
    assert chat.server.members("dev") == [person]
    assert set(person.rooms) == {"dev", "lobby"}
    await bob.hears_nothing()
    await front.ask(bot, Part("lobby", "noise"))
    await bob.hears("* alice left: noise")
    await front.ask(bot, Say("hi", "dev"))
    await desk.hears("alice: hi")
    bot.hang_up()
    await chat.settled()
    await desk.hears_nothing()
    desk.hang_up()
    await chat.settled()
    assert chat.log[-2:] == ["alice: hi", "*quit alice"]


async def test_a_kick_ends_all_of_them(chat: Chat) -> None:
    bob = await chat.join("bob")
    desk, laptop = await chat.join("alice"), await chat.join("alice")
    person = chat.server.find("alice")
    assert person is not None
    person.kick("out")
    for each in (desk, laptop):
        await each.hears("* out")
        await each.hears_the_end()
    await bob.hears("* alice joined", "* alice left")


@pytest.mark.chat(plugins=[Guard])
async def test_one_that_is_refused_takes_nothing_from_the_others(chat: Chat) -> None:
    desk = await chat.join("alice")
    other = await chat.connect("10.0.0.7")
    await other.say("alice")
    await other.hears("* not from there; try another name")
    other.hang_up()
    await chat.settled()
    await desk.say("/who")
    await desk.hears("* here: alice")
    front = ScriptFront()
    bot = await front.connect(chat, Login("alice", room=""), Rename("al"))
    await bot.hears("Login: ok", "Rename: ok")
    await desk.hears("* alice is now al")
