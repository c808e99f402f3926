"""A client as plugins see it."""

from collections.abc import Sequence

import pytest

from trichat import Client, Message, hookimpl
from trichat.testing import Chat


class Guest:
    """Keeps the client that joined last."""

    client: Client

    @hookimpl
    def on_join(self, client: Client) -> None:
        self.client = client

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        pass


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def chat_plugins(guest: Guest) -> Sequence[object]:
    return [guest]


async def test_it_knows_who_it_is_and_where(chat: Chat, guest: Guest) -> None:
    await chat.join("alice", "10.0.0.7")
    client = guest.client
    assert (client.name, client.address, client.room) == ("alice", "10.0.0.7", "lobby")
    assert client.server is chat.server
    assert str(client) == "alice (10.0.0.7)"
    assert not client.ended


async def test_what_is_sent_to_it_reaches_only_it_and_every_line_is_marked(chat: Chat, guest: Guest) -> None:
    bob = await chat.join("bob")
    alice = await chat.join("alice")
    await bob.hears("* alice joined")
    guest.client.send("two\nlines\x1b[2J")
    await alice.hears("* two", "* lines")
    await bob.hears_nothing()


async def test_what_is_no_text_cannot_be_sent(chat: Chat, guest: Guest) -> None:
    await chat.join("alice")
    with pytest.raises(TypeError, match="a client is sent text, not 42"):
        guest.client.send(42)  # type: ignore[arg-type]


async def test_who_is_kicked_is_told_why_and_the_first_reason_stays(chat: Chat, guest: Guest) -> None:
    bob = await chat.join("bob")
    alice = await chat.join("alice")
    await bob.hears("* alice joined")
    guest.client.kick("enough")
    guest.client.kick("really")
    assert guest.client.ended
    assert await alice.rest() == ["* enough"]
    await bob.hears("* alice left")
    guest.client.send("too late")


async def test_the_name_of_who_left_is_free_at_once(chat: Chat) -> None:
    alice = await chat.join("alice")
    alice.hang_up()
    await chat.settled()
    await (await chat.join("ALICE")).hears_nothing()


async def test_what_plugins_keep_of_it_goes_with_it(chat: Chat, guest: Guest) -> None:
    alice = await chat.join("alice")
    first = guest.client
    first.data["guest"] = ["hello"]
    assert chat.server.clients[0].data == {"guest": ["hello"]}
    alice.hang_up()
    await chat.settled()
    await chat.join("alice")
    assert guest.client is not first
    assert guest.client.data == {}
