"""The plugin `rooms`: `/join` and `/rooms`."""

import pytest

from trichat import Refuse, hookimpl
from trichat.testing import Chat


async def test_rooms_are_listed_with_the_number_of_people(chat: Chat) -> None:
    alice, bob, carol = [await chat.join(name) for name in ("alice", "bob", "carol")]
    await alice.say("/join dev")
    await bob.say("/join dev")
    await bob.hears_up_to("* you are in dev")
    await carol.say("/rooms")
    assert (await carol.hears_up_to("* lobby"))[-2:] == ["* dev (2)", "* lobby (1)"]


async def test_a_room_is_forgotten_with_the_last_who_leaves_it(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/join dev", "/join", "/rooms")
    assert (await alice.hears_up_to("* lobby ("))[-1] == "* lobby (1)"
    assert list(chat.server.rooms) == ["lobby"]


class Vault:
    """Has a room with a key."""

    @hookimpl
    def on_enter(self, room: str, key: str) -> Refuse | None:
        return Refuse("the key is wrong", "wrong_key") if room == "vault" and key != "open sesame" else None


@pytest.mark.chat(plugins=[Vault])
async def test_a_key_can_be_given(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/join vault", "/join vault sesame", "/join vault open sesame")
    await alice.hears(*["* the key is wrong"] * 2, "* you are in vault; you are the first here")
