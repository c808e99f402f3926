"""Whom a client ignores: under the names that somebody has, and had."""

from trichat import Message
from trichat._chat.ignoring import MOST_FORMER_NAMES, NOBODY


def said(sender: str, id: int) -> Message:
    return Message("hello", sender, id=id)


def test_a_name_is_the_same_however_it_is_written() -> None:
    ignored = NOBODY.with_name("Bob")
    assert ignored.names == ["Bob"]
    assert ignored.has("bOB")
    assert ignored.covers(said("BOB", 5))
    assert not ignored.covers(said("alice", 5))
    assert not ignored.without("bob")


def test_a_former_name_counts_for_what_was_said_under_it() -> None:
    ignored = NOBODY.with_name("bob").after_rename("bob", "bobby", at=10)
    assert ignored.names == ["bobby"]
    assert [ignored.covers(said(sender, id)) for sender, id in [("bob", 9), ("bob", 10), ("bobby", 11)]] == [True] * 3
    assert [ignored.covers(said("bob", id)) for id in (11, 0)] == [False, False]  # a private line has no id
    assert not ignored.has("bob")


def test_a_name_that_comes_back_counts_again() -> None:
    ignored = NOBODY.with_name("bob").after_rename("bob", "bobby", at=10).after_rename("bobby", "bob", at=20)
    assert ignored.names == ["bob"]
    assert ignored.covers(said("bob", 30))
    assert not ignored.covers(said("bobby", 30))


def test_with_the_last_of_them_everything_is_forgotten() -> None:
    ignored = NOBODY.with_name("bob").with_name("carol").after_rename("bob", "bobby", at=10)
    assert ignored.without("bobby").names == ["carol"]
    assert ignored.without("bobby").covers(said("bob", 9))
    assert not ignored.without("bobby").without("carol")


def test_former_names_have_a_limit() -> None:
    ignored = NOBODY.with_name("bob0")
    for number in range(MOST_FORMER_NAMES + 1):
        ignored = ignored.after_rename(f"bob{number}", f"bob{number + 1}", at=number + 1)
    assert ignored.names == [f"bob{MOST_FORMER_NAMES + 1}"]
    assert not ignored.covers(said("bob0", 1))
    assert ignored.covers(said("bob1", 2))
