"""Which names are held: found by any name that counts as the same, however many there are."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat._base import lookalikes
from trichat._base.name_index import NameIndex
from trichat._base.nicknames import comparison_key

CYRILLIC_A, CYRILLIC_I, CYRILLIC_O = "\u0430", "\u0406", "\u043e"

ALIKE = [
    pytest.param("alice", "ALICE", id="case"),
    pytest.param("alice", f"{CYRILLIC_A}lice", id="scripts that are mixed"),
    pytest.param("capa", "\u0441\u0430\u0440\u0430", id="another script"),
    pytest.param("BOB", "\u0412\u041e\u0412", id="another script, in capitals"),
    pytest.param("bob", "\u0412\u041e\u0412", id="another script, alike only in capitals"),
    pytest.param("ALICE", f"AL{CYRILLIC_I}CE", id="a capital I"),
    pytest.param("alice", "alice\U0001d159", id="a symbol that is drawn as nothing"),
    pytest.param("\u0915\u094d", "\u0915\u094d\u200d", id="a joiner at the end"),
    pytest.param("bob1", f"b{CYRILLIC_O}bl", id="scripts that are mixed, and a one like an l"),
    pytest.param(f"b{CYRILLIC_O}b1", f"b{CYRILLIC_O}bl", id="two that mix the same scripts"),
    pytest.param("alice", "a\u2223ice", id="a symbol like a letter"),
    pytest.param("❤", "❤\ufe0f", id="a selector"),
]

UNLIKE = [
    pytest.param("bob1", "bobl", id="a one like an l"),
    pytest.param("modem", "modern", id="two letters like one"),
    pytest.param("42", "4Z", id="digits"),
    pytest.param("modém", "modérn", id="two letters like one, not ASCII"),
    pytest.param("\u043c\u0438\u04400", "\u043c\u0438\u0440\u043e", id="a nought like a Cyrillic o"),
    pytest.param("bob1🦑", "bobl🦑", id="an emoji in both"),
    pytest.param("bob", "\u0432\u043e\u0432", id="another script"),
]


@pytest.mark.parametrize("others_first", [False, True], ids=["among ASCII names", "among others"])
@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize(("held", "wanted"), ALIKE)
def test_a_name_that_looks_like_a_held_one_is_held(held: str, wanted: str, turned: bool, others_first: bool) -> None:
    if turned:
        held, wanted = wanted, held
    index: NameIndex[str] = NameIndex()
    index.claim("Ζωή" if others_first else "zoe", "zoe")

    assert index.claim(held, "alice")
    assert not index.claim(wanted, "mallory")
    assert index.find(wanted) == "alice"

    index.release(held, "alice")
    assert index.find(wanted) is None
    assert index.claim(wanted, "mallory")
    assert index.find(held) == "mallory"


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize(("held", "wanted"), UNLIKE)
def test_names_that_can_be_told_apart_are_two(held: str, wanted: str, turned: bool) -> None:
    if turned:
        held, wanted = wanted, held
    index: NameIndex[str] = NameIndex()

    assert index.claim("Ζωή", "zoe")
    assert index.claim(held, "alice")
    assert index.claim(wanted, "bob")
    assert [index.find(held), index.find(wanted)] == ["alice", "bob"]


def test_an_owner_may_hold_names_that_look_alike() -> None:
    index: NameIndex[str] = NameIndex()
    index.claim("alice", "alice")

    assert index.claim(f"{CYRILLIC_A}lice", "alice")
    index.release("alice", "alice")

    assert index.owners() == ["alice"]
    assert not index.claim("alice", "mallory")


def test_a_name_in_another_spelling_takes_the_place_of_the_first() -> None:
    index: NameIndex[str] = NameIndex()
    index.claim("\u0412\u041e\u0412", "bob")
    index.claim("\u0432\u043e\u0432", "bob")

    assert index.owners() == ["bob"]
    assert index.claim("BOB", "another bob"), "nobody is shown as the first spelling any more"


@pytest.mark.parametrize(("name", "owner"), [("alice", "mallory"), ("ALICE", "alice"), ("bob", "alice")])
def test_only_who_holds_a_name_can_release_it_and_only_as_it_is_spelled(name: str, owner: str) -> None:
    index: NameIndex[str] = NameIndex()
    index.claim("alice", "alice")

    index.release(name, owner)

    assert index.find("alice") == "alice"


def test_a_name_that_another_one_holds_cannot_be_taken_by_who_holds_a_twin() -> None:
    index: NameIndex[str] = NameIndex()
    for owner, name in enumerate(["bobl", "bob1", "bob|"]):
        index.claim(name, str(owner))

    assert not index.claim(f"b{CYRILLIC_O}bl", "0")


class Held(NamedTuple):
    name: str
    owner: str


class SlowIndex:
    """The rule itself, applied to each pair of names."""

    def __init__(self) -> None:
        self.held: list[Held] = []

    def claim(self, name: str, owner: str) -> bool:
        if any(are_one(name, held.name) and held.owner != owner for held in self.held):
            return False
        key = comparison_key(name)
        self.held = [*(held for held in self.held if comparison_key(held.name) != key), Held(name, owner)]
        return True

    def release(self, name: str, owner: str) -> None:
        self.held = [held for held in self.held if held != (name, owner)]

    def find(self, name: str) -> set[str | None]:
        return {held.owner for held in self.held if are_one(name, held.name)} or {None}


def are_one(one: str, other: str) -> bool:
    if comparison_key(one) == comparison_key(other):
        return True
    if lookalikes.script(one) == lookalikes.script(other) is not None:
        return False
    return not skeletons(one).isdisjoint(skeletons(other))


def skeletons(name: str) -> set[str]:
    return {lookalikes.skeleton(name), lookalikes.skeleton(comparison_key(name))}


names = st.text("1lI|OoB\u0412\u0432\u043e\u0406\U0001d159\u2223", min_size=1, max_size=3).filter(lookalikes.visible)
acts = st.tuples(
    st.sampled_from(["claim", "claim", "release", "find"]), names, st.sampled_from(["alice", "bob", "carol"])
)


@given(st.lists(acts, max_size=30))
def test_it_does_what_the_rule_says(acts: list[tuple[str, str, str]]) -> None:
    index: NameIndex[str] = NameIndex()
    rule = SlowIndex()
    for act, name, owner in acts:
        match act:
            case "claim":
                assert index.claim(name, owner) == rule.claim(name, owner)
            case "release":
                index.release(name, owner)
                rule.release(name, owner)
            case "find":
                assert index.find(name) in rule.find(name)
    assert sorted(index.owners()) == sorted(held.owner for held in rule.held)
