"""How many failures are too many."""

import pytest

from trichat._plugins.quarantine import QUARANTINE_SPAN, FailureCounts


def failing(failures: FailureCounts, *times: float, limit: int = 3) -> list[bool]:
    return [failures.are_too_many("bot", limit, time) for time in times]


def test_as_many_as_the_limit_within_a_minute_are_too_many() -> None:
    failures = FailureCounts()
    assert failing(failures, 0, 1, QUARANTINE_SPAN) == [False, False, True]
    assert failures.quarantined == {"bot"}


def test_those_of_longer_ago_do_not_count() -> None:
    failures = FailureCounts()
    assert failing(failures, 0, 1, QUARANTINE_SPAN + 0.5) == [False, False, False]
    assert failing(failures, QUARANTINE_SPAN + 0.9) == [True]


def test_it_is_said_once() -> None:
    assert failing(FailureCounts(), 0, 1, 2, 3, 4, 5) == [False, False, True, False, False, False]


@pytest.mark.parametrize(("limit", "quarantined"), [(1, {"bot"}), (0, set())], ids=["the first", "none"])
def test_the_limit_may_be_one_or_none(limit: int, quarantined: set[str]) -> None:
    failures = FailureCounts()
    failing(failures, *range(100), limit=limit)
    assert failures.quarantined == quarantined


def test_each_plugin_has_its_own() -> None:
    failures = FailureCounts()
    failing(failures, 0, 1)
    assert not failures.are_too_many("other", 3, 2)
    assert failures.are_too_many("bot", 3, 2)


def test_what_is_forgotten_begins_anew() -> None:
    failures = FailureCounts()
    failing(failures, 0, 1, 2)
    assert failures.mark_crashed("bot")
    failures.forget("bot")
    failures.forget("nobody")
    assert (failures.crashed, failures.quarantined) == (set(), set())
    assert failing(failures, 3, 4, 5) == [False, False, True]


def test_the_end_of_a_quarantine_is_a_new_beginning_and_mends_no_crash() -> None:
    failures = FailureCounts()
    failing(failures, 0, 1, 2)
    assert failures.mark_crashed("bot")
    assert failures.end_quarantine("bot")
    assert not failures.end_quarantine("bot")
    assert (failures.crashed, failures.quarantined) == ({"bot"}, set())
    assert failing(failures, 3, 4, 5) == [False, False, True]


def test_a_crash_is_new_once() -> None:
    failures = FailureCounts()
    assert [failures.mark_crashed("bot") for _ in range(2)] == [True, False]
