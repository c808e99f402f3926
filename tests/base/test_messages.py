"""Messages cannot be changed, and cannot hold what would break a line."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import LOBBY, Handled, Message, Refuse
from trichat._base.messages import OF_SEVERAL_LINES, Kind, with_ids
from trichat._base.text import printable

any_text = st.text(st.characters(exclude_categories=()))


def test_a_message_is_said_in_the_lobby_unless_it_says_otherwise() -> None:
    assert Message("hello", "alice") == Message("hello", "alice", rooms=("lobby",), kind="said", id=0)
    assert LOBBY == "lobby"


@pytest.mark.parametrize("kind", sorted(set(get_args(Kind)) - OF_SEVERAL_LINES))
@given(text=any_text)
def test_the_text_of_an_event_is_one_printable_line(kind: Kind, text: str) -> None:
    rooms = () if kind == "control" else (LOBBY,)
    assert Message(text, "alice", rooms, kind).text == printable(text)


@pytest.mark.parametrize("kind", sorted(OF_SEVERAL_LINES))
@given(text=any_text)
def test_each_line_of_what_is_said_is_printable(kind: Kind, text: str) -> None:
    assert Message(text, "alice", kind=kind).text.split("\n") == [printable(line) for line in text.split("\n")]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (Message("hello", "alice"), "alice: hello"),
        (Message("waves", "alice", kind="did"), "alice waves"),
        (Message("build 7 is green", "ci", kind="noticed"), "[ci] build 7 is green"),
        (Message("", "alice", kind="joined"), "alice joined"),
        (Message("", "alice", kind="left"), "alice left"),
        (Message("lunch", "alice", kind="left"), "alice left: lunch"),
        (Message("", "alice", ("lobby", "dev"), kind="quit"), "alice left"),
        (Message("", "alice", kind="renamed", about="al"), "alice is now al"),
        (Message("beer at 5", "alice", kind="topic"), "alice set the topic: beer at 5"),
        (Message("", "alice", kind="topic"), "alice removed the topic"),
        (Message("beer at 5", kind="topic"), "the server set the topic: beer at 5"),
        (Message("", "alice", kind="kicked", about="bob"), "bob was kicked by alice"),
        (Message("enough", kind="kicked", about="bob"), "bob was kicked: enough"),
        (Message("back at noon", kind="notice"), "back at noon"),
        (Message("{}", rooms=(), kind="control"), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_every_message_can_be_told_in_a_sentence(message: Message, sentence: str) -> None:
    assert message.sentence() == sentence


def test_a_message_of_several_rooms_names_the_first_and_one_of_none_names_none() -> None:
    assert Message("", "alice", ("dev", "lobby"), "quit").room == "dev"
    assert Message("psst", "alice", (), about="bob").room == ""


def test_only_some_messages_are_about_somebody() -> None:
    with pytest.raises(ValueError, match=r"^a message of the kind 'said' in a room is about nobody, not 'bob'$"):
        Message("hello", "alice", about="bob")
    with pytest.raises(ValueError, match=r"^'a:b' cannot be a name$"):
        Message("hello", "alice", (), about="a:b")


@pytest.mark.parametrize("sender", ["a\nb", "\x1b[2J", "irc:al", "* al", "[2026] al", "\u202eal"])
def test_what_cannot_be_a_name_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        Message("hello", sender)


@pytest.mark.parametrize("sender", ["\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "\u0915\u094d\u200d\u0937"])
def test_a_joiner_in_a_persian_or_indic_name_is_no_fault(sender: str) -> None:
    assert Message("hello", sender).sender == sender


@pytest.mark.parametrize("room", ["", "dev room", "a\nb", "\tden", "a,b", "-"])
def test_what_cannot_be_a_room_is_refused(room: str) -> None:
    with pytest.raises(ValueError, match="cannot be a room: it has to be one word"):
        Message("hello", "alice", (room,))


def test_rooms_that_are_no_tuple_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^the rooms of a message are a tuple, not 'dev'$"):
        Message("hello", "alice", "dev")  # type: ignore[arg-type]


def test_no_room_sees_a_message_for_programs() -> None:
    assert Message("{}", rooms=(), kind="control").rooms == ()
    with pytest.raises(ValueError, match=r"^no room sees a message of the kind 'control'; its rooms are \(\), not "):
        Message("{}", kind="control")


def test_text_that_was_exchanged_is_printable_too() -> None:
    assert Message("hello", "alice").with_text("good\nbye\x07").text == "good\nbye"
    assert Message("hello", "alice", kind="topic").with_text("good\nbye\x07").text == "good bye"


def test_only_the_text_is_exchanged() -> None:
    message = Message("alice left", "alice", ("den",), "left", 7)

    assert message.with_text("alice went") == Message("alice went", "alice", ("den",), "left", 7)
    assert message.text == "alice left"


def test_only_the_id_is_exchanged() -> None:
    message = Message("alice left", "alice", ("den",), "left", 7)

    assert message.with_id(8) == Message("alice left", "alice", ("den",), "left", 8)
    assert message.id == 7


def test_messages_are_numbered_in_the_order_given() -> None:
    messages = [Message("one", "alice"), Message("two", "bob", ("den",)), Message("bob left", "bob", kind="left")]

    assert list(with_ids(messages, 7)) == [
        Message("one", "alice", id=7),
        Message("two", "bob", ("den",), id=8),
        Message("bob left", "bob", kind="left", id=9),
    ]
    assert {message.id for message in messages} == {0}


def test_a_message_cannot_be_changed() -> None:
    message = Message("hello", "alice")

    with pytest.raises(AttributeError):
        message.text = "goodbye"  # type: ignore[misc]
    assert message.text == "hello"


@pytest.mark.parametrize(
    ("id", "time"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1, datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        (1_795_354_140_123_456, datetime(2026, 11, 22, 13, 29, 0, 123_456, tzinfo=UTC)),
        (11_735_730_125_629_558, datetime(2341, 11, 22, 5, 2, 5, 629_558, tzinfo=UTC)),  # too fine for a float
    ],
)
def test_the_id_is_the_time_in_microseconds(id: int, time: datetime) -> None:
    assert Message("hello", id=id).time == time


def test_answers_are_compared_by_what_they_say() -> None:
    assert Refuse("too loud") == Refuse("too loud")
    assert Refuse("too loud") != Refuse("too long")
    assert Handled() == Handled()


def test_a_message_that_becomes_several_lines_is_bare_no_more() -> None:
    typed = Message("stop", "alice", bare=True)

    assert typed.with_text("stop!").bare
    assert typed.with_text("stop\x07").bare
    assert not typed.with_text("one\ntwo").bare
