"""What characters and names look like."""

import pytest

from trichat._base import lookalikes


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("alice", "alice"),
        ("Zoë", "Zoë"),
        ("al\u200cice\u200d", "alice"),
        ("❤\ufe0f☺\ufe0e", "❤☺"),
        ("alice\U0001d159", "alice"),
    ],
)
def test_what_cannot_be_seen_is_left_out(text: str, seen: str) -> None:
    assert lookalikes.visible(text) == seen


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("alice", "\u0430l\u0456\u0441\u0435", id="Cyrillic letters"),
        pytest.param("alice", "\ua4eelice", id="a Lisu letter, which has no lower case"),
        pytest.param("bob", "B\u041eB", id="in another case"),
        pytest.param("allce", "ALICE", id="a capital I"),
        pytest.param("Mary", "\u041cary", id="a Cyrillic capital whose lower case looks different"),
        pytest.param("ooo", "O0\u041e", id="a nought"),
        pytest.param("lll", "1|\u2223", id="a one, a bar and a division sign"),
        pytest.param("modem", "modern", id="two letters like one"),
        pytest.param("o'hara", "o\u2019hara", id="quotation marks"),
        pytest.param("zoe\u0308", "zo\xeb", id="composed and decomposed"),
        pytest.param("alice", "al\u200dice\U0001d159", id="with what cannot be seen"),
        pytest.param("\u4e8c", "\u30cb", id="Han and Katakana"),
    ],
)
def test_texts_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert lookalikes.skeleton(one) == lookalikes.skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("alice", "alicia"), ("zoe", "zoë"), ("b", "\u0432"), ("👍🏽", "👍🏿")])
def test_texts_that_look_different_have_two(one: str, other: str) -> None:
    assert lookalikes.skeleton(one) != lookalikes.skeleton(other)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        pytest.param("alice", "Latin", id="ASCII"),
        pytest.param("42", "Latin", id="ASCII without a letter"),
        pytest.param("Zoë", "Latin", id="letters with marks"),
        pytest.param("zo\u0302\u0308e\u0308", "Latin", id="marks, which are inherited"),
        pytest.param("мир 42", "Cyrillic", id="ASCII digits in another script"),
        pytest.param("\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "Arabic", id="a joiner"),
        pytest.param("बड़ों", "Devanagari", id="marks of a script"),
        pytest.param("雪", "Han", id="Han"),
        pytest.param("alice🦑", "Latin", id="an emoji"),
        pytest.param("🦑", "Latin", id="an emoji alone"),
        pytest.param("\u0430lice", None, id="Latin and Cyrillic"),
        pytest.param("雪ニ", None, id="Han and Katakana"),
        pytest.param("o\u2019hara", None, id="a symbol that looks like another one"),
        pytest.param("\u2223\u2223", None, id="symbols that look like letters alone"),
    ],
)
def test_a_text_is_of_one_script_or_mixes_several(text: str, script: str | None) -> None:
    assert lookalikes.script(text) == script


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("alice (away)", None, id="none"),
        pytest.param("al\u0589ice", ("\u0589", ":"), id="a colon"),
        pytest.param("alice\u2217", ("\u2217", "*"), id="a star"),
        pytest.param("\u27e6alice", ("\u27e6", "["), id="a bracket that the table lacks"),
        pytest.param("\u301aalice", ("\u301a", "["), id="a bracket that looks like one that the table lacks"),
        pytest.param("\u2237", ("\u2237", ":"), id="two colons in one character"),
        pytest.param("\u2217\u0589", ("\u2217", "*"), id="several"),
    ],
)
def test_what_looks_like_a_delimiter_is_found(text: str, found: tuple[str, str] | None) -> None:
    assert lookalikes.first_like_a_delimiter(text) == found
