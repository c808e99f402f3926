"""The plugin `bye`: `bye`, alone on a line, leaves."""

import pytest
from client_kit import new_client
from made_kit import Made, refusing
from trichat_plugins.bye import Bye

from trichat import Client, Handled, Message, Refuse, hookimpl
from trichat._plugins.commands import marked_commands
from trichat.testing import Chat

NO_GOODBYE = ["goodbye", "bye all", "good bye", "byebye", "Bye", "BYE", "bye!", "by e"]


@pytest.fixture
def alice() -> Client:
    return new_client(name="alice")


# The plugin alone.


@pytest.mark.parametrize("text", ["bye", "  bye", "bye\t "])
def test_bye_is_handled_and_ends_the_client(alice: Client, text: str) -> None:
    assert Bye().on_message(alice, Message(text, "alice", bare=True)) == Handled()
    assert alice.ended


@pytest.mark.parametrize("text", NO_GOODBYE)
def test_what_only_looks_like_bye_is_a_message(alice: Client, text: str) -> None:
    assert Bye().on_message(alice, Message(text, "alice", bare=True)) is None
    assert not alice.ended


def test_the_command_does_the_same(alice: Client) -> None:
    commands = {command.name: command for command in marked_commands(Bye())}
    assert commands["bye"].usage == "/bye"
    commands["bye"].run(alice, "")
    assert alice.ended


# In a running server.


@pytest.mark.parametrize("text", ["bye", " bye ", "/bye"])
async def test_who_says_bye_is_told_goodbye_and_the_others_that_it_left(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say(text)
    await alice.hears("* goodbye, alice")
    await alice.hears_the_end()
    await bob.hears("* alice left")
    await bob.hears_nothing()


async def test_who_has_more_to_say_to_the_command_than_its_name_stays(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/bye now", "still here")
    await alice.hears("* usage: /bye", "alice: still here")


async def test_what_was_said_before_bye_is_heard_and_what_comes_after_it_is_not(chat: Chat) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("hello", "bye", "one more thing")
    await alice.hears("alice: hello", "* goodbye, alice")
    await alice.hears_the_end()
    await bob.hears("alice: hello", "* alice left")
    await bob.hears_nothing()


@pytest.mark.parametrize("text", NO_GOODBYE)
async def test_what_only_looks_like_bye_is_sent(chat: Chat, text: str) -> None:
    alice = await chat.join("alice")
    await alice.say(text, "still here")
    await alice.hears(f"alice: {text}", "alice: still here")


@pytest.mark.chat(plugins=[Made(on_message=refusing)])
async def test_a_plugin_that_refuses_messages_keeps_nobody_from_leaving(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello", "bye")
    await alice.hears("* not sent: quiet, please", "* goodbye, alice")
    await alice.hears_the_end()


async def test_bye_instead_of_a_name_leaves_as_well(chat: Chat) -> None:
    alice = await chat.join("alice")
    person = await chat.connect()
    await person.say("bye", "bob")
    await person.hears("* goodbye")
    await person.hears_the_end()
    await alice.hears_nothing()


async def test_the_name_is_free_after_a_goodbye(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("bye")
    await alice.rest()
    await chat.join("alice")


async def test_bye_in_a_message_of_several_lines_is_text(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("```", "bye", "```")
    await alice.hears("alice: bye")


class Filter:
    """Refuses a reason with one word, handles another, and changes the rest."""

    @hookimpl
    def on_message(self, message: Message) -> Message | Handled | Refuse | None:
        if "damn" in message.text:
            return Refuse("mind your language")
        return Handled() if message.text == "ignored" else message.with_text(message.text.upper())


@pytest.mark.parametrize(
    ("line", "told", "logged"),
    [
        ("/quit", "* bob left", "*quit bob"),
        ("/quit for lunch", "* bob left: FOR LUNCH", "*quit bob: FOR LUNCH"),
        ("/quit damn", "* bob left", "*quit bob"),
        ("/quit ignored", "* bob left", "*quit bob"),
    ],
)
@pytest.mark.chat(plugins=[Filter])
async def test_quit_says_why_unless_a_plugin_refuses_the_reason(chat: Chat, line: str, told: str, logged: str) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say(line)
    await bob.hears("* goodbye, bob")
    await bob.hears_the_end()
    await alice.hears(told)
    assert chat.log[-1] == logged


async def test_nobody_takes_it_as_a_name_later(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/nick bye", "/nick stop")
    await alice.hears("* bye leaves the chat, so it is not a name", "* stop stops the server, so it is not a name")
