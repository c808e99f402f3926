"""The last messages of rooms, in memory."""

from collections.abc import Sequence

import pytest
from trichat_plugins._recent_messages import RECENT, ROOMS, RecentMessages

from trichat import Message


def said(id: int, *rooms: str) -> Message:
    return Message(f"text {id}", "alice", rooms, id=id)


def ids(found: Sequence[Message] | None) -> list[int] | None:
    return None if found is None else [message.id for message in found]


@pytest.fixture
def recent() -> RecentMessages:
    recent = RecentMessages()
    recent.restart([said(id, "dev" if id % 2 else "lobby") for id in range(1, 11)], are_all=True)
    return recent


@pytest.mark.parametrize(
    ("after", "before", "limit", "newest", "expected"),
    [
        (0, 99, 9, True, [1, 3, 5, 7, 9]),
        (0, 99, 2, True, [7, 9]),
        (0, 99, 2, False, [1, 3]),
        (3, 9, 9, True, [5, 7]),
        (3, 4, 9, False, []),
        (0, 99, 0, True, []),
    ],
)
def test_they_are_found_from_either_end(
    recent: RecentMessages, after: int, before: int, limit: int, newest: bool, expected: list[int]
) -> None:
    assert ids(recent.find("dev", after, before, limit, newest=newest)) == expected


def test_where_older_ones_are_in_the_log_alone_they_are_not_all_here(recent: RecentMessages) -> None:
    recent.restart([said(id, "lobby") for id in range(5, 8)], are_all=False)
    assert recent.find("lobby", 3, 99, 9, newest=False) is None
    assert ids(recent.find("lobby", 4, 99, 9, newest=False)) == [5, 6, 7]
    assert ids(recent.find("lobby", 0, 99, 2, newest=True)) == [6, 7]
    assert recent.find("dev", 0, 99, 9, newest=True) is None
    assert ids(recent.find("dev", 4, 99, 9, newest=True)) == []


def test_a_room_in_which_nothing_has_happened_for_long_is_forgotten(recent: RecentMessages) -> None:
    recent.remember([said(11, "lobby")])
    recent.remember(said(id, f"room{id}") for id in range(12, 12 + ROOMS - 1))
    assert ids(recent.find("lobby", 0, 99, 9, newest=True)) == [2, 4, 6, 8, 10, 11]
    assert recent.find("dev", 0, 99, 9, newest=True) is None
    assert ids(recent.find("dev", 9, 10**6, 9, newest=True)) == []
    recent.remember([said(5000, "dev")])
    assert recent.find("dev", 8, 10**6, 9, newest=True) is None
    assert ids(recent.find("dev", 9, 10**6, 9, newest=True)) == [5000]


def test_of_one_room_only_the_last_ones_are_here(recent: RecentMessages) -> None:
    recent.remember(said(id, "lobby", "dev") for id in range(11, 11 + RECENT))
    assert recent.find("lobby", 9, 10**6, 10**6, newest=True) is None
    found = ids(recent.find("lobby", 10, 10**6, 10**6, newest=True))
    assert found == list(range(11, 11 + RECENT))
