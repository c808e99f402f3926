"""A dictionary by names: each is found however it is written, and the oldest is forgotten first."""

import pytest

from trichat import NameDict

CYRILLIC_A = "\u0430"


@pytest.mark.parametrize("written", ["Alice", "aLICE", f"{CYRILLIC_A}lice", " alice ", "alice\U0001d159"])
def test_a_name_is_found_however_it_is_written(written: str) -> None:
    names: NameDict[int] = NameDict(limit=10)
    names["Alice"] = 1
    assert (names[written], names.get(written), written in names) == (1, 1, True)


@pytest.mark.parametrize("written", ["bob", "", "a:b", "\ud800", "x" * 1000])
def test_what_nobody_is_called_is_not_in_it(written: str) -> None:
    names: NameDict[int] = NameDict(limit=10)
    names["alice"] = 1
    assert written not in names
    assert names.get(written) is None
    with pytest.raises(KeyError):
        names[written]
    with pytest.raises(KeyError):
        del names[written]


def test_another_spelling_replaces_the_name_and_its_value() -> None:
    names: NameDict[int] = NameDict(limit=10)
    names["alice"] = 1
    names["bob"] = 2
    names["ALICE"] = 3
    assert list(names.items()) == [("bob", 2), ("ALICE", 3)]


def test_a_name_that_looks_like_several_replaces_all_of_them() -> None:
    names: NameDict[int] = NameDict(limit=10)
    for value, name in enumerate(["bob1", "bobl", "zoe"]):
        names[name] = value
    names["b\u043eb1"] = 3  # with a Cyrillic o, it mixes two scripts
    assert list(names.values()) == [2, 3]


@pytest.mark.parametrize("name", ["", "a:b", "x" * 33])
def test_what_cannot_be_a_name_cannot_be_set(name: str) -> None:
    names: NameDict[int] = NameDict(limit=10)
    with pytest.raises(ValueError, match="a name"):
        names[name] = 1
    assert len(names) == 0


def test_the_name_that_was_set_longest_ago_is_forgotten_first() -> None:
    names: NameDict[int] = NameDict(limit=2)
    for value, name in enumerate(["alice", "bob", "Alice", "carol"]):
        names[name] = value
    assert list(names) == ["Alice", "carol"]
    assert "bob" not in names


def test_a_name_that_was_removed_is_free_in_every_spelling() -> None:
    names: NameDict[int] = NameDict(limit=10)
    names["alice"] = 1
    del names["ALICE"]
    assert (list(names), len(names), "alice" in names) == ([], 0, False)
    assert names.setdefault("Alice", 2) == 2
