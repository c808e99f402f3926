"""Entering a room: asked, told, with its history, with no line missing and none twice."""

import pytest
import trio

from trichat import Client, Message, Refuse, hookimpl
from trichat.testing import Chat, Person, cancel_everywhere, running


async def entered(chat: Chat, name: str) -> Person:
    person = await chat.join(name)
    await chat.settled()
    return person


class Doors:
    """Lets people into some rooms."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    @hookimpl
    async def on_enter(self, client: Client, room: str, key: str) -> Refuse | None:
        self.asked.append((client.name, room, key))
        await trio.lowlevel.checkpoint()
        match room:
            case "cellar":
                return Refuse("the cellar is locked", "banned")
            case "attic":
                raise ValueError("no stairs")
        return None


async def test_plugins_are_asked_before_each_room_and_who_is_refused_stays(virtual_time: object) -> None:
    doors = Doors()
    async with running([doors]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("/join cellar", "/join attic", "still here")
        await alice.hears("* the cellar is locked", "* the plugin 'doors' failed", "alice: still here")
        await bob.hears("alice: still here")
        [client, _] = chat.server.clients
        assert await client.enter("den", "sesame") is None
        await bob.hears("* alice left")
    assert doors.asked == [
        ("alice", "lobby", ""),
        ("bob", "lobby", ""),
        ("alice", "cellar", ""),
        ("alice", "attic", ""),
        ("alice", "den", "sesame"),
    ]


class Closed:
    """Lets nobody in."""

    @hookimpl
    def on_enter(self) -> Refuse:
        return Refuse("we are closed")


@pytest.mark.chat(plugins=[Closed])
async def test_who_may_not_enter_the_first_room_is_told_and_disconnected(chat: Chat) -> None:
    alice = await chat.connect()
    await alice.say("alice")
    assert (await alice.rest())[-1] == "* refused: we are closed"
    assert chat.log == []


async def test_rooms_hear_only_what_is_said_in_them_and_both_hear_of_a_move(chat: Chat) -> None:
    alice, bob, carol = [await entered(chat, name) for name in ("alice", "bob", "carol")]
    await alice.hears("* bob joined", "* carol joined")
    await bob.hears("* carol joined")
    await alice.say("/join dev")
    await alice.hears("* you are in dev; you are the first here")
    await bob.say("/join dev")
    await alice.hears("* bob joined")
    assert (await bob.hears_up_to("* you are in"))[-1] == "* you are in dev; here: alice"
    await carol.say("anybody?")
    await alice.say("hi bob")
    await carol.hears("* alice left", "* bob left", "carol: anybody?")
    await alice.hears("alice: hi bob")
    await bob.hears("alice: hi bob")
    bob.hang_up()
    await alice.hears("* bob left")
    await carol.hears_nothing()
    assert sorted(chat.server.rooms) == ["dev", "lobby"]


async def test_a_mover_misses_nothing_and_sees_nothing_twice_while_both_rooms_talk(chat: Chat) -> None:
    alice, bob, carol = [await entered(chat, name) for name in ("alice", "bob", "carol")]
    await carol.say("/join dev")
    await carol.hears_up_to("* you are in dev")
    async with trio.open_nursery() as nursery:
        for speaker in (bob, carol):
            nursery.start_soon(speaker.say, *(f"{speaker.name} {number}" for number in range(50)))
        nursery.start_soon(alice.say, "/join dev")
    heard = await alice.hears_up_to("* you are in dev")
    await carol.say("end")
    heard += await alice.hears_up_to("carol: end")
    at = next(place for place, line in enumerate(heard) if line.startswith("* you are in dev"))
    from_bob = [line for line in heard if line.startswith("bob: ")]
    from_carol = [line.partition("] ")[2] or line for line in heard if "carol: carol" in line]
    assert from_bob == [f"bob: bob {number}" for number in range(len(from_bob))]
    assert from_carol == [f"carol: carol {number}" for number in range(50)]
    assert not [line for line in heard[at:] if line.startswith("[")], "the history comes before the welcome"
    assert "* alice left" not in heard


async def test_a_room_keeps_its_own_history(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("in the lobby", "/join dev", "in dev")
    await alice.hears("alice: in the lobby", "* you are in dev; you are the first here", "alice: in dev")
    bob = await chat.join("bob")
    await bob.say("/join dev")
    heard = [line.partition("] ")[2] for line in await bob.hears_up_to("* you are in dev") if line.startswith("[")]
    assert heard == ["* alice joined", "alice: in dev"]


async def test_a_client_that_is_in_no_room_cannot_be_moved_renamed_or_made_to_speak(virtual_time: object) -> None:
    class Hasty:
        def __init__(self) -> None:
            self.problems: list[str] = []

        @hookimpl
        async def on_join(self, client: Client) -> None:
            for call in (client.enter("den"), client.rename("al"), client.say("hi")):
                try:
                    await call
                except RuntimeError as error:
                    self.problems.append(str(error))

    hasty = Hasty()
    async with running([hasty]) as chat:
        await chat.join("alice")
    assert hasty.problems == ["alice (127.0.0.1) has not joined yet; wait until it has"] * 3


async def talk_in_rooms(chat: Chat) -> None:
    alice, bob = chat.connect_silently(name="alice"), chat.connect_silently(name="bob")
    for person, line in [
        (alice, "alice"),
        (bob, "bob"),
        (alice, "/join dev"),
        (alice, "hello"),
        (bob, "/join dev"),
        (bob, "/nick robert"),
        (alice, "/join lobby"),
        (bob, "/nick bob"),
    ]:
        await person.say(line)
        await chat.settled()
    bob.hang_up()


def test_moves_and_renames_can_be_cancelled_everywhere() -> None:
    cancel_everywhere(talk_in_rooms)


class Recorder:
    """Notes what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def on_broadcast(self, messages: list[Message]) -> None:
        self.told += [f"{message.room} {message.sentence()}" for message in messages]


async def test_who_leaves_on_the_way_into_another_room_has_left_both(virtual_time: object) -> None:
    class Slow:
        required = True
        waits = False

        @hookimpl
        async def on_broadcast(self) -> None:
            if self.waits:
                await trio.sleep(1)

    slow, recorder = Slow(), Recorder()
    async with running([recorder, slow]) as chat:
        alice = await chat.join("alice")
        slow.waits = True
        await alice.say("/join dev")
        await trio.sleep(0.5)
        alice.reset()
        await trio.sleep(10)
        assert chat.server.rooms == []
    assert recorder.told == ["lobby alice joined", "lobby alice left", "dev alice joined", "dev alice left"]


class SlowDoors:
    """Takes its time to let people in."""

    @hookimpl
    async def on_enter(self) -> None:
        await trio.sleep(1)


@pytest.mark.chat(plugins=[SlowDoors])
async def test_what_the_former_room_says_meanwhile_is_heard_before_the_history_of_the_other_one(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.enter("dev")
    await bob.say("nobody here")
    await bob.enter("lobby")
    await alice.hears("* bob joined", "* bob left", "* bob joined")
    await alice.say("/join dev")
    await trio.sleep(0.5)
    await bob.say("wait")
    heard = await alice.hears_up_to("* you are in dev")
    assert heard[0] == "bob: wait"
    assert [line.partition("] ")[2] for line in heard[1:-1]] == ["* bob joined", "bob: nobody here", "* bob left"]
    await alice.hears_nothing()


async def test_a_plugin_that_moves_a_client_while_it_moves_is_told_so(virtual_time: object) -> None:
    class Revolving:
        @hookimpl
        async def on_enter(self, client: Client, room: str) -> Refuse | None:
            return await client.enter("side") if room == "dev" else None

    async with running([Revolving]) as chat:
        alice = await chat.join("alice")
        await alice.say("/join dev", "hello", "/join other")
        await alice.hears(
            "* the plugin 'revolving' failed", "alice: hello", "* you are in other; you are the first here"
        )


async def test_two_tasks_that_move_a_client_at_once_move_it_one_after_the_other(virtual_time: object) -> None:
    async with running() as chat, trio.open_nursery() as nursery:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await bob.say("/join dev")
        await alice.hears("* bob joined", "* bob left")
        answers: list[Refuse | None] = []

        async def move(room: str) -> None:
            answers.append(await chat.server.clients[0].enter(room))

        for _ in range(2):
            nursery.start_soon(move, "dev")
        await alice.hears("[date] * bob joined", "* you are in dev; here: bob")
        await bob.hears_up_to("* alice joined")
        await bob.hears_nothing()
        assert sorted(answers, key=str) == [None, Refuse("you are in dev already")]
