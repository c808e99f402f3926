"""Names of rooms: one word, in lower case, whatever is typed."""

import pytest

from trichat import Message
from trichat._base.room_names import InvalidRoom, prepare


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("dev", "dev"),
        ("#dev", "dev"),
        (" Dev ", "dev"),
        ("BÜRO", "büro"),
        ("build-7", "build-7"),
        ("日本", "日本"),
        ("\uff44\uff45\uff56", "dev"),
    ],
)
def test_a_room_is_prepared_like_a_name_and_is_in_lower_case(text: str, room: str) -> None:
    assert prepare(text) == room
    assert Message("hello", "alice", (prepare(text),)).room == room


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a name cannot be empty, and a room is named like a person"),
        ("#", "a name cannot be empty, and a room is named like a person"),
        ("##dev", "a name cannot begin with '#', and a room is named like a person"),
        ("two words", "the name of a room is one word"),
        ("-", "a room cannot be named '-'"),
        ("a,b", "a name cannot contain ',', and a room is named like a person"),
        ("a\x1b[2Jb", "a name cannot contain '\\x1b', and a room is named like a person"),
    ],
)
def test_what_cannot_be_a_room_is_refused_in_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(InvalidRoom) as refused:
        prepare(text)
    assert str(refused.value) == reason
