"""The local order: ids that strictly increase, whatever the clock does."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Message
from trichat._chat.order import LocalOrder

NOON = 1_795_348_800_000_000


class Clock:
    """Shows `now`, in microseconds."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now * 1000 + 999


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def take(order: LocalOrder, count: int = 1) -> list[int]:
    """Give places to so many messages, and return their ids."""
    return [message.id for message in order.place([Message("hello", "alice")] * count)]


def test_an_id_is_the_time_in_microseconds(clock: Clock) -> None:
    order = LocalOrder(clock)

    assert take(order) == [NOON]
    clock.now += 5
    assert take(order) == [NOON + 5]


def test_a_clock_that_stands_still_gives_one_more(clock: Clock) -> None:
    order = LocalOrder(clock)

    assert [take(order, 2), take(order)] == [[NOON, NOON + 1], [NOON + 2]]


def test_a_clock_that_goes_back_gives_one_more_until_it_has_caught_up(clock: Clock) -> None:
    order = LocalOrder(clock)

    take(order)
    clock.now = NOON - 3_600_000_000
    assert take(order) == [NOON + 1]
    clock.now = NOON + 1
    assert take(order) == [NOON + 2]
    clock.now = NOON + 10
    assert take(order) == [NOON + 10]


def test_messages_keep_their_order_and_are_otherwise_the_same(clock: Clock) -> None:
    drafts = [Message("one", "alice"), Message("two", "bob", ("den",))]

    assert list(LocalOrder(clock).place(drafts)) == [drafts[0].with_id(NOON), drafts[1].with_id(NOON + 1)]


def test_a_message_alone_has_its_place_in_the_same_order(clock: Clock) -> None:
    order = LocalOrder(clock)
    draft = Message("hello", "alice")

    assert order.place_one(draft) == draft.with_id(NOON)
    assert take(order) == [NOON + 1]
    assert order.place_one(draft).id == order.last == NOON + 2


def test_a_batch_that_is_longer_than_the_time_it_took_pushes_the_next_one(clock: Clock) -> None:
    order = LocalOrder(clock)

    take(order, 100)
    clock.now += 50
    assert take(order) == [NOON + 100]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(NOON - 1_000_000, NOON, id="an earlier run"),
        pytest.param(NOON, NOON + 1, id="a run that ended just now"),
        pytest.param(NOON + 1_000_000, NOON + 1_000_001, id="a run whose clock was ahead"),
    ],
)
def test_ids_go_on_after_those_of_an_earlier_run(clock: Clock, last: int, expected: int) -> None:
    order = LocalOrder(clock)

    order.resume_after(last)

    assert order.last == last
    assert take(order) == [expected]


def test_resuming_never_goes_back(clock: Clock) -> None:
    order = LocalOrder(clock)
    order.resume_after(NOON + 7)

    order.resume_after(NOON + 3)

    assert take(order) == [NOON + 8]


def test_the_last_id_is_known(clock: Clock) -> None:
    order = LocalOrder(clock)
    assert order.last == 0

    take(order, 3)

    assert order.last == NOON + 2


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20))))
def test_ids_strictly_increase_whatever_the_clock_does(batches: Sequence[tuple[int, int]]) -> None:
    clock = Clock(0)
    order = LocalOrder(clock)
    ids: list[int] = []
    for now, count in batches:
        clock.now = now
        taken = take(order, count)
        assert all(id >= now for id in taken)
        ids += taken

    assert all(earlier < later for earlier, later in pairwise(ids))
