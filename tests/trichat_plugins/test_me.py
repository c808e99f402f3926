"""The plugin `me`: `/me waves`."""

import pytest

from trichat import Message, Refuse, hookimpl
from trichat.testing import Chat


class Filter:
    """Refuses one word, and changes another."""

    @hookimpl
    def on_message(self, message: Message) -> Message | Refuse | None:
        if "damn" in message.text:
            return Refuse("mind your language")
        return message.with_text(message.text.replace(":)", "smiles"))


@pytest.mark.chat(plugins=[Filter])
async def test_what_one_does_is_seen_by_all_and_passes_through_plugins(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/me waves", "/me :)")
    for person in (alice, bob):
        await person.hears("** alice waves", "** alice smiles")
    await alice.say("/me says damn", "/me")
    await alice.hears("* mind your language")
    assert (await alice.next_line() or "").startswith("* usage: /me TEXT")
    await bob.hears_nothing()
    assert chat.log[-2:] == ["*did alice: waves", "*did alice: smiles"]
