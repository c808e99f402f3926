"""Saying something that is more than a line: what plugins may do with it, and what becomes of it when they fail."""

from collections.abc import Sequence

import pytest
import trio

from trichat import Client, Handled, Message, Refuse, Server, hookimpl
from trichat.testing import Chat, running


class Keeper:
    """Keeps every batch, unless the disk is full; then it refuses."""

    required = True

    def __init__(self) -> None:
        self.is_full = False

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")


class Butler:
    """Handles what is said to it."""

    @hookimpl
    def on_message(self, message: Message) -> Handled | None:
        return Handled() if message.text.startswith("butler,") else None


@pytest.mark.chat(plugins=[Butler])
async def test_a_plugin_is_told_what_came_of_it(chat: Chat) -> None:
    alice = await chat.join("alice")
    [client] = chat.server.clients
    said = await client.say("hello", kind="did")
    assert isinstance(said, Message)
    assert (said.sentence(), said.rooms, said.id > 0) == ("alice hello", ("lobby",), True)
    await alice.hears("** alice hello")
    assert await client.say("butler, tea") is None
    with pytest.raises(ValueError, match="a client can say said, did, noticed, topic, not 'joined'"):
        await client.say("x", kind="joined")  # type: ignore[arg-type]
    assert await client.say("  ") == Refuse("there is nothing to say", "usage")
    assert await client.say("x", "den") == Refuse("you are not in den", "not_in_room")
    assert await client.say("x", "a b") == Refuse("the name of a room is one word", "no_such_room")
    await alice.hears_nothing()


async def test_what_cannot_be_kept_is_refused_and_said_once(virtual_time: object) -> None:
    keeper = Keeper()
    async with running([keeper]) as chat:
        alice = await chat.join("alice")
        keeper.is_full = True
        refusal = await chat.server.clients[0].say("hello")
        assert refusal == Refuse("the plugin 'keeper' failed", "failed")
        await alice.hears_nothing()
        keeper.is_full = False


async def test_a_plugin_cannot_wait_in_on_broadcast_for_what_comes_after_it(virtual_time: object) -> None:
    class Parrot:
        def __init__(self) -> None:
            self.error = ""

        @hookimpl
        async def on_broadcast(self, messages: Sequence[Message]) -> None:
            if messages[0].sender == "alice" and messages[0].kind == "said":
                try:
                    await chat.server.clients[0].say("polly")
                except RuntimeError as error:
                    self.error = str(error)

    parrot = Parrot()
    async with running([parrot]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
    assert parrot.error.startswith("this would wait forever: nothing is sent before on_broadcast returns.")


async def test_somebody_who_leaves_while_plugins_think_about_a_private_line_does_not_get_it(
    virtual_time: object,
) -> None:
    class Thinker:
        def __init__(self) -> None:
            self.is_asked, self.may_go_on = trio.Event(), trio.Event()

        @hookimpl
        async def on_tell(self, client: Client) -> None:
            self.is_asked.set()
            await self.may_go_on.wait()

    thinker = Thinker()
    async with running([thinker]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        await alice.say("/msg bob hello")
        await thinker.is_asked.wait()
        bob.hang_up()
        await alice.hears("* bob left")
        thinker.may_go_on.set()
        await alice.hears("* bob has left")


async def test_what_plugins_may_do_in_shadow_does_nothing(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Busybody:
        @hookimpl
        async def on_message(self, client: Client, message: Message) -> None:
            server: Server = client.server
            assert await client.tell("bob", "x") is None
            assert await client.leave("lobby") is None
            assert await client.set_away("x") is None
            await client.quit("x")
            assert client.ignore("bob") is None
            assert client.unignore("bob") is None
            server.set_topic(Message("x", "alice", kind="topic", id=1))

    caplog.set_level("INFO", "trichat.shadow")
    async with running([Busybody], config={"plugins": {"busybody": {"shadow": True}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        assert [record.getMessage().partition("would have ")[2] for record in caplog.records] == [
            "made alice (127.0.0.1) tell 'bob' something",
            "moved alice (127.0.0.1) out of 'lobby'",
            "noted that alice (127.0.0.1) is away: 'x'",
            "made alice (127.0.0.1) quit: 'x'",
            "made alice (127.0.0.1) ignore 'bob'",
            "made alice (127.0.0.1) no longer ignore 'bob'",
            "set the topic of 'lobby': 'x'",
        ]


async def test_a_topic_is_a_message_with_a_place_in_the_order(chat: Chat) -> None:
    await chat.join("alice")
    for message in (Message("x", "alice", kind="said", id=5), Message("x", "alice", kind="topic")):
        with pytest.raises(ValueError, match="a topic is a message of the kind 'topic' with an id"):
            chat.server.set_topic(message)
    chat.server.set_topic(Message("later", "alice", kind="topic", id=9))
    chat.server.set_topic(Message("earlier", "alice", kind="topic", id=5))
    assert [topic.text for topic in chat.server.topics] == ["later"]
