"""Another name: held, asked about, and told to everyone who shares a room."""

import pytest
import trio

from trichat import Client, Refuse, hookimpl
from trichat.testing import Chat, running


class Clerk:
    """Decides about names."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.waits = trio.Event()
        self.waits.set()

    @hookimpl
    async def on_rename(self, client: Client, name: str) -> Refuse | None:
        self.asked.append((client.name, name))
        await self.waits.wait()
        if name == "boom":
            raise ValueError("ink is out")
        return Refuse("nobody is root here") if name == "root" else None


async def test_plugins_are_asked_and_the_room_is_told(virtual_time: object) -> None:
    clerk = Clerk()
    async with running([clerk]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("/nick root", "/nick boom", "/nick al", "hi")
        await alice.hears("* nobody is root here", "* the plugin 'clerk' failed", "* alice is now al", "al: hi")
        await alice.say("/nick al")
        await alice.hears("* you are al already")
        await bob.hears("* alice is now al", "al: hi")
        assert chat.server.find("alice") is None
        assert chat.log[-2:] == ["*renamed alice: al", "al: hi"]
    assert clerk.asked == [("alice", "root"), ("alice", "boom"), ("alice", "al")]


async def test_a_name_that_is_asked_about_is_nobody_elses(virtual_time: object) -> None:
    clerk = Clerk()
    clerk.waits = trio.Event()
    async with running([clerk]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("/nick al")
        await chat.settled()
        await bob.say("/nick AL")
        await bob.hears("* the name 'AL' is taken")
        assert await chat.server.clients[1].rename("alice") == Refuse("the name 'alice' is taken", "name_taken")
        clerk.waits.set()
        await bob.hears("* alice is now al")
        await bob.say("/nick Alice")
        await bob.hears("* bob is now Alice")


async def test_a_name_that_its_owner_no_longer_waits_for_is_free(virtual_time: object) -> None:
    clerk = Clerk()
    clerk.waits = trio.Event()
    async with running([clerk]) as chat:
        alice = await chat.join("alice")
        await alice.say("/nick al")
        await chat.settled()
        chat.server.clients[0].kick("enough")
        assert (await alice.rest())[-1] == "* enough"
        for name in ("al", "alice"):
            await chat.join(name)


@pytest.mark.parametrize(("name", "reason"), [("a:b", "a name cannot contain ':'"), ("x" * 33, "a name has at most")])
async def test_what_cannot_be_a_name_is_refused(chat: Chat, name: str, reason: str) -> None:
    await chat.join("alice")
    refusal = await chat.server.clients[0].rename(name)
    assert refusal is not None
    assert refusal.code == "name_invalid"
    assert refusal.reason.startswith(reason)


async def test_somebody_who_moves_and_is_renamed_at_once_moves_under_the_last_name(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    client = chat.server.clients[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.rename, "rob")
        nursery.start_soon(client.rename, "robert")
        nursery.start_soon(client.enter, "dev")
    first, second, moved = [await alice.next_line() for _ in range(3)]
    assert (first, second, moved) in [
        ("* bob is now rob", "* rob is now robert", "* robert left"),
        ("* bob is now robert", "* robert is now rob", "* rob left"),
    ]
    assert chat.members("dev") == [bob.name]


async def test_a_rename_that_cannot_be_logged_does_not_happen(virtual_time: object) -> None:
    class Log:
        required = True
        is_full = False

        @hookimpl
        def on_broadcast(self) -> None:
            if self.is_full:
                raise OSError(28, "No space left on device")

    log = Log()
    async with running([log]) as chat:
        alice = await chat.join("alice")
        log.is_full = True
        await alice.say("/nick al")
        await alice.hears("* the plugin 'log' failed")
        log.is_full = False
        await alice.say("still me")
        await alice.hears("alice: still me")
        await chat.join("al")
