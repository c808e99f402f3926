"""The plugin `away`: `/away lunch`."""

import pytest

from trichat import Message, Refuse, hookimpl
from trichat.testing import Chat


class Filter:
    """Refuses one word, and changes another."""

    @hookimpl
    def on_message(self, message: Message) -> Message | Refuse | None:
        if "damn" in message.text:
            return Refuse("mind your language")
        return message.with_text(message.text.replace(":)", "smiling"))


async def test_away_and_back(chat: Chat) -> None:
    alice = await chat.join("alice")
    person = chat.server.find("alice")
    assert person is not None
    await alice.say("/away", "/away at lunch")
    await alice.hears("* you are not away; /away TEXT says why you are", "* you are away: at lunch")
    assert person.away == "at lunch"
    await alice.say("/away")
    await alice.hears("* you are back")
    assert person.away == ""
    assert chat.log == ["* alice joined"]


@pytest.mark.chat(plugins=[Filter])
async def test_plugins_are_asked_about_the_text(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/away :)", "/away damn")
    await alice.hears("* you are away: smiling", "* mind your language")
    assert chat.server.clients[0].person.away == "smiling"
