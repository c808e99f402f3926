"""The plugin `ignore`: `/ignore bob` and `/unignore bob`."""

from trichat._chat.saying import MOST_IGNORED
from trichat.testing import Chat


async def test_words_of_somebody_who_is_ignored_are_hidden_everywhere(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("/ignore BOB", "/ignore")
    await alice.hears("* you no longer see what BOB says; /unignore BOB ends that", "* you ignore: bob")
    await bob.say("one", "/me waves", "/msg alice psst", "/nick bobby", "two", "/nick carol", "three", "/join dev")
    await alice.hears("* bob is now bobby", "* bobby is now carol", "* carol left")
    await alice.say("/join dev")
    await alice.hears("[date] * carol joined", "* you are in dev; here: carol")
    await bob.say("four", "/join lobby")
    await alice.hears("* carol left")
    await alice.say("/join lobby")
    history = ["* alice joined", "* bob joined", "* bob is now bobby", "* bobby is now carol", "* carol left"]
    await alice.hears(*(f"[date] {line}" for line in [*history, "* alice left", "* carol joined"]))


async def test_the_reason_for_leaving_is_hidden_too_but_not_the_departure(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/ignore bob")
    await bob.say("/quit see you all", "")
    await alice.hears("* bob joined", "* you no longer see what bob says; /unignore bob ends that", "* bob left")


async def test_it_follows_the_person_and_leaves_others_in_peace(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/ignore bob")
    await chat.settled()
    for number in range(MOST_IGNORED + 5):
        assert await chat.server.clients[1].rename(f"bob{number}") is None
    assert chat.server.clients[0].ignored == [f"bob{MOST_IGNORED + 4}"]
    carol = await chat.join("bob0")
    await carol.say("I am somebody else")
    await chat.settled()
    while (line := await alice.next_line() or "") != "bob0: I am somebody else":
        assert "bob0: " not in line
    await bob.say("hello?")
    await alice.hears_nothing()


async def test_what_others_say_meanwhile_is_shown_and_so_are_the_words_after_it_ends(chat: Chat) -> None:
    alice, bob, carol = await chat.join("alice"), await chat.join("bob"), await chat.join("carol")
    await alice.hears("* bob joined", "* carol joined")
    await alice.say("/ignore bob", "mine")
    await alice.hears("* you no longer see what bob says; /unignore bob ends that", "alice: mine")
    await bob.say("one")
    await carol.say("two")
    await alice.hears("carol: two")
    await alice.say("/unignore Bob", "/ignore")
    await alice.hears("* you see again what Bob says", "* you ignore nobody")
    await bob.say("three")
    await alice.hears("bob: three")


async def test_somebody_is_ignored_however_the_name_is_written(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    alike = "b\u043eb"  # with a Cyrillic o
    await alice.say(f"/ignore {alike}", "/ignore")
    await alice.hears(f"* you no longer see what {alike} says; /unignore {alike} ends that", "* you ignore: bob")
    await bob.say("one")
    await alice.hears_nothing()
    await alice.say(f"/unignore {alike}", "/ignore", "/unignore bob", "/ignore \u0430lice")
    await alice.hears(
        f"* you see again what {alike} says", "* you ignore nobody", "* you do not ignore bob", "* that is you"
    )


async def test_who_cannot_be_ignored(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("/ignore Alice", "/ignore a:b", "/unignore bob", "/unignore a:b", "/unignore")
    await alice.hears(
        "* that is you",
        "* a name cannot contain ':'",
        "* you do not ignore bob",
        "* a name cannot contain ':'",
        "* usage: /unignore NAME",
    )
    for number in range(MOST_IGNORED):
        assert chat.server.clients[0].ignore(f"user{number}") is None
    await alice.say("/ignore carol")
    await alice.hears(f"* you ignore {MOST_IGNORED} people already")
