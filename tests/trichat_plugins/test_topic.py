"""The plugin `topic`: `/topic [TEXT]`."""

from pathlib import Path

import pytest
from trichat_plugins.topic import LONGEST

from trichat import Client, Message, Refuse, hookimpl
from trichat.testing import Chat, running


class Clerk:
    """Lets only alice set topics, and no topic have a certain word."""

    @hookimpl
    def permits(self, client: Client, action: str) -> Refuse | None:
        return Refuse("only alice may") if action == "topic" and client.name != "alice" else None

    @hookimpl
    def on_message(self, message: Message) -> Message | Refuse | None:
        if "damn" in message.text:
            return Refuse("mind your language")
        return message.with_text(message.text.replace(":)", "smiles")) if message.kind == "topic" else None


async def test_a_topic_is_told_kept_and_shown_to_those_who_enter(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/topic", "/topic standup at 9:30", "/topic")
    for person in (alice, bob):
        await person.hears(*["* lobby has no topic"] * (person is alice), "* alice set the topic: standup at 9:30")
    await alice.hears("* the topic of lobby is: standup at 9:30")
    assert chat.log[-1] == "*topic alice: standup at 9:30"
    carol = await chat.connect()
    await carol.say("carol")
    await carol.hears("[date] * alice joined", "[date] * bob joined", "[date] * alice set the topic: standup at 9:30")
    assert (await carol.next_line() or "").endswith("; bye leaves; topic: standup at 9:30")
    await alice.hears("* carol joined")
    await alice.say("/topic standup at 9:30", "/topic -", "/topic", "/topic -")
    await alice.hears("* the topic of lobby is: standup at 9:30", "* alice removed the topic")
    await alice.hears(*["* lobby has no topic"] * 2)


async def test_each_room_has_its_own_until_nobody_is_there(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/topic about tea", "/join dev")
    assert await alice.next_line() == "* alice set the topic: about tea"
    await alice.hears("* you are in dev; you are the first here")
    await alice.say("/topic about code")
    await alice.hears("* alice set the topic: about code")
    await bob.hears("* alice set the topic: about tea", "* alice left")
    await bob.say("/join dev")
    await bob.hears("[date] * alice joined", "[date] * alice set the topic: about code")
    await bob.hears("* you are in dev; here: alice; topic: about code")
    for person in (alice, bob):
        await person.say("/join lobby")
    await chat.settled()
    assert [topic.text for topic in chat.server.topics] == ["about tea"]


async def test_topics_are_kept_across_restarts(tmp_path: Path, virtual_time: object) -> None:
    async with running(folder=tmp_path) as chat:
        alice = await chat.join("alice")
        await alice.say("/topic about tea", "/join dev", "/topic about code")
        await chat.settled()
    async with running(folder=tmp_path) as chat:
        assert {topic.room: topic.text for topic in chat.server.topics} == {"lobby": "about tea", "dev": "about code"}
        topic = chat.server.topic("dev")
        assert topic is not None
        assert (topic.sender, topic.kind) == ("alice", "topic")


async def test_a_topic_that_somebody_saw_forgotten_stays_forgotten(tmp_path: Path, virtual_time: object) -> None:
    async with running(folder=tmp_path) as chat:
        alice = await chat.join("alice")
        await alice.say("/join dev", "/topic about code", "/join lobby", "/join dev")
        while await alice.next_line() != "* you are in lobby; you are the first here":
            pass
        while await alice.next_line() != "* you are in dev; you are the first here":
            pass
        await alice.say("/topic")
        await alice.hears("* dev has no topic")
    async with running(folder=tmp_path) as chat:
        assert chat.server.topics == []


async def test_a_topic_that_cannot_be_kept_is_set_all_the_same(
    tmp_path: Path, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "trichat_data").write_text("no folder")
    async with running(folder=tmp_path) as chat:
        alice = await chat.join("alice")
        await alice.say("/topic about tea")
        await alice.hears(
            "* alice set the topic: about tea", "* the topic is set, but will be lost when the server stops"
        )
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "trichat.topic"] == [
        "the topics of rooms are lost",
        "the topics of rooms are not kept",
    ]


@pytest.mark.chat(plugins=[Clerk])
async def test_plugins_are_asked_who_may_set_it_and_what_it_says(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("/topic mine", "/topic")
    await bob.hears("* only alice may", "* lobby has no topic")
    await alice.say("/topic damn", "/topic :)", f"/topic {'x' * (LONGEST + 1)}")
    await alice.hears("* mind your language", "* alice set the topic: smiles")
    await alice.hears(f"* a topic has at most {LONGEST} characters")
    assert [topic.text for topic in chat.server.topics] == ["smiles"]
