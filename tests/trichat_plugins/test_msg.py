"""The plugin `msg`: `/msg bob hello`."""

import pytest

from trichat import Client, Handled, Person, Refuse, hookimpl
from trichat.testing import Chat


class Censor:
    """Decides about private lines."""

    @hookimpl
    def on_tell(self, client: Client, other: Person, text: str) -> str | Handled | Refuse | None:
        if text == "boom":
            raise ValueError("ink is out")
        if text == "for the censor":
            return Handled()
        if text == "nothing":
            return " "
        if "damn" in text:
            return Refuse(f"{client.name}, do not swear at {other.name}")
        return text.replace(":)", "smiles")


async def test_a_private_line_is_seen_by_the_two_alone_and_is_in_no_log(chat: Chat) -> None:
    alice, bob, carol = await chat.join("alice"), await chat.join("bob"), await chat.join("carol")
    await bob.hears("* carol joined")
    await alice.hears("* bob joined", "* carol joined")
    await alice.say("/msg BOB hi: there")
    await alice.hears("* you to bob: hi: there")
    await bob.hears("* alice to you: hi: there")
    await carol.hears_nothing()
    assert not any("there" in line for line in chat.log)


async def test_it_reaches_a_person_in_another_room(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("/join dev")
    await alice.hears("* bob left")
    await alice.say("/msg bob come back")
    await bob.hears("* you are in dev; you are the first here", "* alice to you: come back")


@pytest.mark.parametrize(
    "line", ["/msg Alice Liddell: hi", "/msg alice liddell:hi", "/msg alice liddell hi", "/MSG Alice  Liddell  hi"]
)
async def test_a_name_may_have_several_words(chat: Chat, line: str) -> None:
    liddell, bob = await chat.join("Alice Liddell"), await chat.join("bob")
    await liddell.hears("* bob joined")
    await bob.say(line)
    await bob.hears("* you to Alice Liddell: hi")
    await liddell.hears("* bob to you: hi")


async def test_where_two_people_may_be_meant_nobody_is_told(chat: Chat) -> None:
    alice, liddell, bob = await chat.join("Alice"), await chat.join("Alice Liddell"), await chat.join("bob")
    await liddell.hears("* bob joined")
    await alice.hears("* Alice Liddell joined", "* bob joined")
    await bob.say("/msg alice liddell is late", "/msg alice: liddell is late")
    await bob.hears("* Alice or Alice Liddell? put a colon after the name", "* you to Alice: liddell is late")
    await alice.hears("* bob to you: liddell is late")
    await liddell.hears_nothing()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/msg carol hi", "* carol is not here"),
        ("/msg carol: hi", "* carol is not here"),
        ("/msg bob", "* usage: /msg NAME TEXT"),
        ("/msg bob:", "* usage: /msg NAME TEXT"),
        ("/msg bob: ", "* usage: /msg NAME TEXT"),
        ("/msg nobody of this name is here", "* nobody is not here"),
        ("/msg bob \x01", "* usage: /msg NAME TEXT"),
        ("/msg", "* usage: /msg NAME TEXT"),
    ],
)
async def test_what_cannot_be_told_is_answered_with_the_reason(chat: Chat, line: str, answer: str) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say(line)
    await alice.hears(answer)
    await bob.hears_nothing()


async def test_somebody_who_is_away_says_so(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("/away lunch")
    await bob.hears("* you are away: lunch")
    await alice.say("/msg bob hi")
    await alice.hears("* you to bob: hi", "* bob is away: lunch")
    await bob.hears("* alice to you: hi")


async def test_what_was_said_before_in_the_room_comes_before_it(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.send(b"one\ntwo\n/msg bob three\nfour\n")
    await bob.hears("alice: one", "alice: two", "* alice to you: three", "alice: four")


@pytest.mark.chat(plugins=[Censor])
async def test_plugins_are_asked_about_it(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/msg bob :)", "/msg bob damn", "/msg bob boom", "/msg bob for the censor", "/msg bob nothing")
    await alice.say("/msg bob end")
    await alice.hears(
        "* you to bob: smiles",
        "* alice, do not swear at bob",
        "* the plugin 'censor' failed",
        "* you to bob: end",
    )
    await bob.hears("* alice to you: smiles", "* alice to you: end")


@pytest.mark.chat(plugins=[Censor], config={"plugins": {"censor": {"shadow": True}}})
async def test_a_plugin_in_shadow_changes_no_private_line_and_the_log_does_not_have_it(
    chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/msg bob damn :)", "/msg bob secret :)")
    await bob.hears("* alice to you: damn :)", "* alice to you: secret :)")
    shadow = [record.getMessage() for record in caplog.records if record.name == "trichat.shadow"]
    assert shadow == [
        "plugin 'censor' in shadow: would have refused a private line of alice (127.0.0.1) to bob: "
        "'alice, do not swear at bob'",
        "plugin 'censor' in shadow: would have changed a private line of alice (127.0.0.1) to bob",
    ]
    assert "secret" not in caplog.text
