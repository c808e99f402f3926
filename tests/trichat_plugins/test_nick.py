"""The plugin `nick`: `/nick NAME`."""

from trichat.testing import Chat


async def test_a_name_is_changed_and_the_former_one_is_free(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/nick Alice Liddell", "/nick", "hello")
    await alice.hears("* alice is now Alice Liddell", "* usage: /nick NAME", "Alice Liddell: hello")
    await chat.join("alice")
