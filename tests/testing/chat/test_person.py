"""People: what they say, what they expect to hear, and the text of a failed expectation."""

from collections.abc import AsyncIterator, Callable

import pytest
import trio

from trichat.testing import Chat, Disconnected, NotHeard, Person, running
from trichat.testing._chat.person import GREETING, PATIENCE, SILENCE

WELCOME = (
    "* welcome, alice; you are the first here; what is said is kept (dates are UTC); "
    "/help shows the commands; bye leaves"
)


@pytest.fixture
async def alice(chat: Chat) -> Person:
    return await chat.join("alice")


async def failure(expectation: Callable[[], object]) -> str:
    """Return the text of an expectation that fails."""
    with pytest.raises(NotHeard) as caught:
        await expectation()  # type: ignore[misc]
    return str(caught.value)


async def test_people_hear_what_others_say(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    await alice.say("hello", "how are you?")
    await bob.hears("alice: hello")
    await bob.hears("alice: how are you?")
    await alice.hears("* bob joined", "alice: hello", "alice: how are you?")


async def test_a_line_of_the_history_may_be_given_with_its_date_or_without(chat: Chat, alice: Person) -> None:
    await alice.say("hello")
    bob = chat.connect_silently()
    await bob.say("bob")
    await bob.hears(GREETING, "[date] * alice joined")
    await chat.settled()
    dated = next(line for line in bob.heard if line.endswith("alice: hello"))
    assert dated.startswith("[2")
    await bob.hears(dated)


async def test_another_line_than_the_expected_one_is_told_with_all_that_leads_to_it(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    await alice.say("one", "two", "three", "four")
    text = await failure(lambda: bob.hears("alice: one", "alice: 2"))
    assert text.startswith(
        "bob expected 'alice: 2', but heard 'alice: two'\n"
        "    before that: 'alice: one'\n"
        "    after that: 'alice: three'\n"
        "    after that: 'alice: four'\n"
    )
    dialogue = text.partition("the dialogue so far:\n")[2].partition("the tasks:\n")[0]
    assert [line.removeprefix("    ") for line in dialogue.splitlines()] == str(chat.dialogue).splitlines()
    assert "    alice> one\n    alice> two\n" in dialogue
    tasks = text.partition("the tasks:\n")[2]
    assert "client alice  at " in tasks
    assert "broadcaster  at inbox.py" in tasks
    assert "plugin chat_log  at " in tasks


async def test_the_end_of_the_connection_in_place_of_a_line_is_told(alice: Person) -> None:
    await alice.say("bye")
    text = await failure(lambda: alice.hears("* goodbye, alice", "see you"))
    assert text.startswith(
        "alice expected 'see you', but heard the end of the connection\n    before that: '* goodbye, alice'\n"
    )


async def test_nothing_in_time_is_told_and_takes_as_long_as_anybody_is_patient(alice: Person) -> None:
    before = trio.current_time()
    text = await failure(lambda: alice.hears("bob: hello"))
    assert text.startswith("alice expected 'bob: hello', but heard nothing for 4 s\n")
    assert trio.current_time() - before == pytest.approx(PATIENCE)


async def test_half_a_line_before_the_end_is_no_line(virtual_time: object) -> None:
    person = Person("alice", (await _silent_chat()).dialogue, lambda: "")
    person.connected(_Line([b"half a li", b""]))
    assert await failure(lambda: person.hears("half a line")) == (
        "alice expected 'half a line', but heard half a line before the end: b'half a li'"
    )


async def test_lines_are_put_together_from_whatever_pieces_arrive(virtual_time: object) -> None:
    person = Person("alice", (await _silent_chat()).dialogue, lambda: "")
    person.connected(_Line([b"on", b"e\ntw", b"o\nthr\xc3", b"\xa9e\n", b""]))
    await person.hears("one", "two", "thrée")
    await person.hears_the_end()


async def test_what_is_no_text_is_a_line_that_nobody_expects(virtual_time: object) -> None:
    person = Person("alice", (await _silent_chat()).dialogue, lambda: "")
    person.connected(_Line([b"caf\xe9\n"]))
    person.arrived(b"caf\xe9\n")
    assert person.heard == ["caf\\xe9"]
    text = await failure(lambda: person.hears("caf\u00e9"))
    assert text == "alice expected 'caf\u00e9', but heard 'caf\\\\xe9'"


class _Line:
    """A connection on which the test decides what arrives."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._chunks.pop(0)

    def send_eof(self) -> None: ...

    def close(self) -> None: ...

    def reset(self) -> None: ...

    def stop_reading(self) -> None: ...

    def read_on(self) -> None: ...


async def _silent_chat() -> Chat:
    async with running() as chat:
        return chat


async def test_hearing_nothing_is_an_expectation_too(alice: Person) -> None:
    before = trio.current_time()
    await alice.hears_nothing()
    assert trio.current_time() - before == pytest.approx(SILENCE)
    await alice.hears_nothing(60)
    assert trio.current_time() - before == pytest.approx(SILENCE + 60)


async def test_who_was_to_hear_nothing_tells_what_came(alice: Person) -> None:
    await alice.say("hello")
    text = await failure(alice.hears_nothing)
    assert text.startswith("alice expected to hear nothing, but heard 'alice: hello'\nthe dialogue so far:\n")


async def test_the_end_of_the_connection_is_not_nothing(alice: Person) -> None:
    await alice.say("bye")
    await alice.hears("* goodbye, alice")
    text = await failure(alice.hears_nothing)
    assert text.startswith("alice expected to hear nothing, but heard the end of the connection\n")


async def test_the_end_can_be_expected(alice: Person) -> None:
    await alice.say("bye")
    text = await failure(alice.hears_the_end)
    assert text.startswith("alice expected 'the end of the connection', but heard '* goodbye, alice'\n")
    await alice.hears_the_end()


async def test_reading_up_to_a_line_gives_all_that_came_that_one_included(alice: Person) -> None:
    await alice.say("one", "two", "three")
    assert await alice.hears_up_to("alice: tw") == ["alice: one", "alice: two"]
    await alice.hears("alice: three")


async def test_a_line_that_never_comes_is_waited_for_in_vain(alice: Person) -> None:
    await alice.say("one", "bye")
    text = await failure(lambda: alice.hears_up_to("alice: two"))
    assert text.startswith("alice expected 'alice: two...', but heard the end of the connection\n")
    assert "    before that: 'alice: one'\n    before that: '* goodbye, alice'\n" in text


async def test_the_rest_is_all_up_to_the_end(alice: Person) -> None:
    await alice.say("one", "bye")
    assert await alice.rest() == ["alice: one", "* goodbye, alice"]
    assert await alice.rest() == []


async def test_a_rest_that_does_not_end_is_a_failure(alice: Person) -> None:
    await alice.say("one")
    text = await failure(alice.rest)
    assert text.startswith("alice expected 'the end of the connection', but heard nothing for 4 s\n")


async def test_what_was_not_asked_for_can_be_had_without_waiting_for_more(chat: Chat, alice: Person) -> None:
    assert await alice.unheard() == []
    await alice.say("one", "two")
    await alice.hears("alice: one")
    before = trio.current_time()
    assert await alice.unheard() == ["alice: two"]
    assert trio.current_time() - before < 0.01
    await alice.say("bye")
    assert await alice.unheard() == ["* goodbye, alice"]


async def test_the_next_line_is_none_at_the_end(alice: Person) -> None:
    await alice.say("bye")
    assert await alice.next_line() == "* goodbye, alice"
    assert await alice.next_line() is None


async def test_all_that_arrived_is_kept_whether_it_was_asked_for_or_not(chat: Chat, alice: Person) -> None:
    await alice.say("one")
    await chat.settled()
    assert alice.heard == [GREETING, WELCOME, "alice: one"]


async def test_who_was_disconnected_cannot_say_anything(chat: Chat, alice: Person) -> None:
    await alice.say("bye")
    await chat.settled()
    await trio.sleep(2)  # the server keeps reading while it says goodbye
    with pytest.raises(Disconnected) as caught:
        await alice.say("one more thing")
    text = str(caught.value)
    assert text.startswith("alice is no longer connected\nthe dialogue so far:\n    alice+\n")
    assert "alice> one more thing" in text


async def test_who_hung_up_cannot_say_anything_and_hears_only_the_end(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    alice.hang_up()
    await bob.hears("* alice left")
    with pytest.raises(Disconnected):
        await alice.say("I am back")
    assert await alice.next_line() is None


async def test_a_reset_is_told_to_the_server_as_a_broken_connection(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    alice.reset()
    await bob.hears("* alice left")
    with pytest.raises(Disconnected):
        await alice.say("I am back")
    await bob.say("/seen alice")
    (line,) = [await bob.next_line()]
    assert line is not None
    assert line.endswith("connection lost: Connection reset by peer")


async def test_what_is_on_its_way_is_lost_with_a_reset(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    await alice.say("never heard")
    alice.reset()
    await bob.hears("* alice left")


async def test_what_is_on_its_way_arrives_before_somebody_who_hangs_up_has_left(chat: Chat, alice: Person) -> None:
    bob = await chat.join("bob")
    await alice.say("last words")
    alice.hang_up()
    await bob.hears("alice: last words", "* alice left")


async def test_who_says_no_more_hears_on_to_the_end(alice: Person) -> None:
    await alice.say("one")
    alice.send_eof()
    assert await alice.rest() == ["alice: one"]


@pytest.fixture
async def small(virtual_time: object) -> AsyncIterator[Chat]:
    """A chat with a small backlog for clients that do not read."""
    async with running(config={"server": {"backlog_bytes": 10_000, "send_timeout": 600}}) as chat:
        yield chat


async def test_who_stops_reading_is_a_slow_client(small: Chat) -> None:
    alice, bob = await small.join("alice"), await small.join("bob")
    bob.stop_reading()
    assert not bob.reads
    for _ in range(40):
        await alice.say("x" * 2000)
        await small.settled()
    await alice.hears_up_to("* bob left")


async def test_who_reads_on_gets_all_that_waited(small: Chat) -> None:
    alice, bob = await small.join("alice"), await small.join("bob")
    bob.stop_reading()
    for number in range(35):
        await alice.say(f"{number} {'x' * 2000}")
    await small.settled()
    assert not bob.heard[-1].startswith("alice: 34 ")
    bob.read_on()
    assert bob.reads
    for number in range(35):
        await bob.hears(f"alice: {number} {'x' * 2000}")


async def test_bytes_may_be_sent_that_are_no_whole_lines(alice: Person) -> None:
    await alice.send(b"hel")
    await alice.hears_nothing()
    await alice.send(b"lo\n")
    await alice.hears("alice: hello")


async def test_it_is_known_what_the_chat_calls_somebody_and_how_long(chat: Chat) -> None:
    guest = await chat.connect()
    assert (guest.label, guest.name) == ("guest1", "")
    await guest.say("Zoë")
    await guest.hears_up_to("* welcome, ")
    assert guest.name == "Zoë"
    await guest.say("one", "", "two")
    assert len(guest.said) == 2, "a blank line is not said"
    await guest.say("bye")
    await guest.rest()
    assert guest.name == ""


async def test_what_somebody_was_kept_from_saying_was_not_said(chat: Chat, alice: Person) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await alice.say("never said")
    assert scope.cancelled_caught
    assert alice.said == []
    assert "alice> never said" not in chat.dialogue.lines()
    await alice.hears_nothing()


@pytest.mark.parametrize("name", ["a;b", "here", "Zoë the first"])
async def test_it_is_known_whatever_the_name_is(chat: Chat, name: str) -> None:
    person = await chat.join(name)
    assert person.name == name
    assert [member.name for member in chat.server.members()] == [name]


@pytest.mark.parametrize("leave", [Person.hang_up, Person.reset])
async def test_who_leaves_is_called_nothing_any_more(alice: Person, leave: Callable[[Person], None]) -> None:
    assert alice.name == "alice"
    leave(alice)
    assert alice.name == ""


async def test_a_person_tells_who_it_is(alice: Person) -> None:
    assert repr(alice) == "<Person alice>"


async def test_somebody_who_moves_hears_the_history_and_is_known_to_be_in_the_other_room(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    assert (alice.room, bob.room) == ("lobby", "lobby")
    assert await bob.enter("dev") == ["* you are in dev; you are the first here"]
    await bob.say("hello?")
    heard = await alice.enter("#Dev")
    assert heard[:3] == ["* bob joined", "* bob left", heard[2]]
    assert [line.partition("] ")[2] for line in heard[2:-1]] == ["* bob joined", "bob: hello?"]
    assert heard[-1] == "* you are in dev; here: bob"
    assert alice.room == "dev"
    assert chat.members() == []
    assert chat.members("dev") == ["bob", "alice"]
    bob.hang_up()
    assert bob.room == ""


async def test_somebody_who_takes_another_name_is_called_by_it(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    assert await bob.rename("rob") == ["* bob is now rob"]
    assert (bob.name, bob.label) == ("rob", "bob")
    assert alice.name == "alice"
    assert await bob.rename("Rob ert") == ["* rob is now Rob ert"]
    assert bob.name == "Rob ert"
    assert await alice.unheard() == ["* bob joined", "* bob is now rob", "* rob is now Rob ert"]


async def test_a_refusal_is_not_an_answer_to_somebody_who_moves_or_takes_a_name(chat: Chat) -> None:
    alice = await chat.join("alice")
    await chat.join("bob")
    assert "before that: \"* a name cannot contain ','" in await failure(lambda: alice.enter("a,b"))
    assert "before that: \"* the name 'bob' is taken\"" in await failure(lambda: alice.rename("bob"))
    assert (alice.name, alice.room) == ("alice", "lobby")


async def test_nobody_moves_another_person_by_what_they_say(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.say("* you are in dev; here: bob", "* alice is now al")
    await alice.hears("* bob joined", "bob: * you are in dev; here: bob", "bob: * alice is now al")
    assert (alice.name, alice.room) == ("alice", "lobby")
