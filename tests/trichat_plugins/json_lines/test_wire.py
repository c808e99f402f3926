"""Messages as JSON lines."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trichat_plugins.json_lines.wire import JsonWire

from trichat import Kind, Message

WIRE = JsonWire()
NOON = 1_763_812_800_000_000
CURSOR = "c6442dab64f000"
AT_NOON = {"id": NOON, "time": "2025-11-22T12:00:00Z", "cursor": CURSOR}


def decoded(data: bytes) -> list[Any]:
    *whole, rest = data.split(b"\n")
    assert rest == b""
    return [json.loads(line) for line in whole]


MESSAGES = [
    pytest.param(
        Message("hello", "alice"), {"kind": "said", "rooms": ["lobby"], "sender": "alice", "text": "hello"}, id="said"
    ),
    pytest.param(
        Message("a\nb", "alice", ("dev",), "did", reply_to=5),
        {"kind": "did", "rooms": ["dev"], "sender": "alice", "text": "a\nb", "reply_to": 5},
        id="did",
    ),
    pytest.param(
        Message("green", "ci", kind="noticed"),
        {"kind": "noticed", "rooms": ["lobby"], "sender": "ci", "text": "green"},
        id="noticed",
    ),
    pytest.param(
        Message("", "alice", kind="joined"), {"kind": "joined", "rooms": ["lobby"], "sender": "alice"}, id="joined"
    ),
    pytest.param(
        Message("lunch", "alice", kind="left"),
        {"kind": "left", "rooms": ["lobby"], "sender": "alice", "text": "lunch"},
        id="left",
    ),
    pytest.param(Message("", "alice", ("lobby", "dev"), "quit"), {"kind": "quit", "sender": "alice"}, id="quit"),
    pytest.param(Message("", "alice", ("dev",), "quit"), {"kind": "quit", "sender": "alice"}, id="quit one room"),
    pytest.param(
        Message("", "alice", ("lobby", "dev"), "renamed", about="al"),
        {"kind": "renamed", "sender": "alice", "about": "al"},
        id="renamed",
    ),
    pytest.param(
        Message("", "alice", kind="kicked", about="bob"),
        {"kind": "kicked", "rooms": ["lobby"], "sender": "alice", "about": "bob"},
        id="kicked",
    ),
    pytest.param(
        Message("tea", kind="notice"), {"kind": "notice", "rooms": ["lobby"], "text": "tea"}, id="notice to a room"
    ),
]


@pytest.mark.parametrize(("message", "fields"), MESSAGES)
def test_a_message_of_a_room_says_what_where_who_and_when(message: Message, fields: dict[str, object]) -> None:
    [line] = decoded(WIRE.encode([message.with_id(NOON)]))

    assert line == {"message": {**fields, **AT_NOON}}


@pytest.mark.parametrize(("message", "fields"), MESSAGES)
def test_a_message_of_the_past_is_the_same_and_says_of_which_room(message: Message, fields: dict[str, object]) -> None:
    [line] = decoded(WIRE.encode_history("dev", [message.with_id(NOON)]))

    assert line == {"message": {**fields, **AT_NOON}, "past": "dev"}


def test_the_time_is_the_second_in_which_it_was_said() -> None:
    [line] = decoded(WIRE.encode([Message("x", "bob", id=NOON + 999_999)]))

    assert line["message"]["time"] == "2025-11-22T12:00:00Z"
    assert line["message"]["id"] == NOON + 999_999


def test_what_is_for_one_person_alone_has_no_place_in_the_order() -> None:
    messages = [Message("psst", "bob", (), about="alice"), Message("one\ntwo", rooms=(), kind="notice")]

    assert decoded(WIRE.encode(messages)) == [
        {"private": {"sender": "bob", "to": "alice", "text": "psst"}},
        {"notice": {"text": "one\ntwo"}},
    ]


def test_messages_keep_their_order() -> None:
    messages = [Message(f"{number}", "bob", id=NOON + number) for number in range(5)]

    for data in (WIRE.encode(messages), WIRE.encode_history("lobby", messages)):
        assert [line["message"]["text"] for line in decoded(data)] == ["0", "1", "2", "3", "4"]


def test_no_messages_are_no_bytes() -> None:
    assert WIRE.encode([]) == b""
    assert WIRE.encode_history("lobby", []) == b""


@given(
    st.builds(
        Message,
        text=st.text(st.characters(exclude_categories=())),
        sender=st.sampled_from(["", "alice", "Zoë", "名前"]),
        rooms=st.sampled_from([("lobby",), ("lobby", "dev"), ()]),
        kind=st.sampled_from(sorted(set(get_args(Kind)) - {"control"})),
        id=st.integers(0, 4_000_000_000_000_000),
    )
)
def test_whatever_a_message_says_is_one_line(message: Message) -> None:
    for data in (WIRE.encode([message]), WIRE.encode_history("lobby", [message])):
        [line] = decoded(data)
        assert next(iter(line.values())).get("text", "") == message.text
