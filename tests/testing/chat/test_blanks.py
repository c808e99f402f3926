"""Blanks: what they match, what fills them in, and where that stands."""

import pytest

from trichat.testing._chat.blanks import Blanks


def recognized(blanks: Blanks, expected: list[str], heard: list[str]) -> list[str]:
    return list(blanks.recognized(expected, heard))


@pytest.mark.parametrize(
    ("expected", "heard"),
    [
        ("ci< {[...]}", 'ci< {"id":7}'),
        ("ci< {[...]}", "ci< {}"),
        ('ci< {"id":[...],"time":"[...]"}', 'ci< {"id":7,"time":"12:00"}'),
        ("bob< (.*) \\1 [...]", "bob< (.*) \\1 x"),
        ("bob< [...id] and [...id]", "bob< 7 and 7"),
        ("bob< [...a][...b]", "bob< x"),
        ("bob< plain", "bob< plain"),
    ],
)
def test_a_line_that_matches_is_shown_as_it_was_expected(expected: str, heard: str) -> None:
    assert recognized(Blanks(), [expected], [heard]) == [expected]


@pytest.mark.parametrize(
    ("expected", "heard"),
    [
        ("ci< {[...]}", "bob< {}"),
        ("ci< {[...]}", "ci< {} "),
        ("bob< (.*) [...]", "bob< x y"),
        ("bob< [...id] and [...id]", "bob< 7 and 8"),
        ("bob< [..]", "bob< 7"),
    ],
)
def test_any_other_line_is_shown_as_it_was_heard(expected: str, heard: str) -> None:
    assert recognized(Blanks(), [expected], [heard]) == [heard]


def test_each_expected_line_stands_for_one_that_was_heard() -> None:
    assert recognized(Blanks(), ["a< [...]"], ["a< 1", "a< 2"]) == ["a< [...]", "a< 2"]
    assert recognized(Blanks(), ["a< 1", "a< [...]"], ["a< 1", "a< 2"]) == ["a< 1", "a< [...]"]


def test_the_order_of_lines_is_that_in_which_they_were_heard() -> None:
    assert recognized(Blanks(), ["a< x[...]", "a< y[...]"], ["a< y1", "a< x1"]) == ["a< y[...]", "a< x[...]"]


def test_a_name_stands_for_the_same_text_from_then_on() -> None:
    blanks = Blanks()
    assert recognized(blanks, ["a< [...id].", "b< [...id]"], ["a< 7.*.", "b< 7.*"]) == ["a< [...id].", "b< [...id]"]
    assert blanks.filled("after [...id], and [...id]") == "after 7.*, and 7.*"
    assert recognized(blanks, ["a< [...id]"], ["a< 7.."]) == ["a< 7.."]


def test_a_line_that_does_not_match_fills_in_nothing() -> None:
    blanks = Blanks()
    recognized(blanks, ["a< [...id]!"], ["a< 7"])
    with pytest.raises(LookupError):
        blanks.filled("[...id]")


@pytest.mark.parametrize("blank", ["[...]", "[...other]"])
def test_what_nothing_has_filled_in_cannot_be_said(blank: str) -> None:
    blanks = Blanks()
    recognized(blanks, ["a< [...] [...id]"], ["a< 7 8"])
    with pytest.raises(LookupError) as caught:
        blanks.filled(f"after {blank}")
    assert caught.value.args == (f"nothing has filled in {blank}; give it a name in a line that somebody hears",)


def test_text_without_blanks_stays_as_it_is() -> None:
    assert Blanks().filled('{"text": "a [b] ... c"}') == '{"text": "a [b] ... c"}'
