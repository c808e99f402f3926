"""The plugin `rooms`: `/join` and `/rooms`."""

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
