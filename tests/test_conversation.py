"""What people see, over streams in memory: the promises that can be told as a conversation."""

from chat_kit import Chat


async def test_a_message_reaches_everyone_in_the_room(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("hello")
    await alice.hears("alice: hello")
    await bob.hears("alice: hello")
