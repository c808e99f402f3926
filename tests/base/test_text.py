"""Text is one line that a terminal shows and does not obey."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trichat._base.text import printable

BIDIRECTIONAL_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

# Any text at all, in which escape sequences and parts of them are frequent.
hard_text = st.lists(
    st.sampled_from(
        ["\x1b", "\x1b[", "\x1b]", "\x1b\\", "\x9b", "\x9c", "\x9d", "\x07", "\n", "\t", "[", "]", "31", ";", "m"]
    )
    | st.characters(exclude_categories=()),
    max_size=20,
).map("".join)


def is_obeyed(character: str) -> bool:
    """Whether a terminal, or an editor that shows a log, does something else with it than show it."""
    return (
        unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") and character != "\t"
    ) or unicodedata.bidirectional(character) in BIDIRECTIONAL_CONTROLS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "two words",
        "grüß Gott",
        "日本語",
        "🦑",
        "עברית",
        "a\u200db",
        "a\xa0b",
        "[31m",
        "a\tb",
        "\t",
        "\ufffd",
    ],
)
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[A\x1b[B\x1b[C\x1b[D", "", id="arrow keys"),
        pytest.param("\x1b[3~", "", id="the delete key"),
        pytest.param("\x1b[1;5Cx", "x", id="an arrow key with control"),
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colours"),
        pytest.param("\x1b[38;2;1;2;3mx\x1b[m", "x", id="a true colour"),
        pytest.param("\x1b[2J\x1b[1;1Hx", "x", id="clear the screen"),
        pytest.param("\x1b[?25lx\x1b[?25h", "x", id="hide the cursor"),
        pytest.param("\x1b[!px\x1b[4 q", "x", id="with intermediate bytes"),
        pytest.param("\x1b[200~pasted\x1b[201~", "pasted", id="bracketed paste"),
        pytest.param("\x9b31mred\x9b0m", "red", id="the one-byte CSI"),
        pytest.param("\x1b]0;a title\x07x", "x", id="a title ended by BEL"),
        pytest.param("\x1b]0;a title\x1b\\x", "x", id="a title ended by ST"),
        pytest.param("\x9d0;a title\x9cx", "x", id="a title in one-byte controls"),
        pytest.param("\x1b]8;;http://a.b\x07link\x1b]8;;\x07", "link", id="a link"),
        pytest.param("\x1b]0;one\x07kept\x1b]0;two\x07", "kept", id="text between two titles"),
        pytest.param("x\x1b[31", "x", id="a sequence without an end"),
        pytest.param("x\x1b]0;a title", "x", id="a title without an end"),
        pytest.param("\x1bOAx\x1bOP", "x", id="keys in application mode"),
        pytest.param("\x1bPq#0\x1b\\x\x90q\x9c\x1b_payload\x07", "x", id="pictures and application strings"),
        pytest.param("\x1b\x1b[31m", "", id="an escape before a sequence"),
        pytest.param("\x1b[\x1b[31m1m", "1m", id="a sequence in a sequence makes no new one"),
        pytest.param("a\x1bcb", "acb", id="reset the terminal"),
    ],
)
def test_an_escape_sequence_leaves_nothing_to_obey(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\nb", "a b", id="a line feed becomes a space"),
        pytest.param("a\r\nb", "a b", id="CR LF becomes a space"),
        pytest.param("one\rtwo", "onetwo", id="CR"),
        pytest.param("one\u2028two\u2029three", "onetwothree", id="line and paragraph separators"),
        pytest.param("a\x85b\x0bc\x0cd", "abcd", id="NEL, VT, FF"),
        pytest.param("a\x1cb\x1dc\x1ed", "abcd", id="what str.splitlines splits at"),
        pytest.param("\x00a\x07b\x08c\x7fd", "abcd", id="NUL, BEL, BS, DEL"),
        pytest.param("a\tb\x01", "a\tb", id="a tab stays"),
        pytest.param("evil\u202egpj.exe", "evilgpj.exe", id="right-to-left override"),
        pytest.param("\u2066a\u2067b\u2068c\u2069", "abc", id="isolates"),
        pytest.param("\u202aa\u202bb\u202cc\u202dd", "abcd", id="embeddings"),
        pytest.param("a\ud800b\udfffc", "abc", id="surrogates"),
        pytest.param("a\udc80b", "ab", id="a byte smuggled in by surrogateescape"),
    ],
)
def test_a_character_that_is_not_shown_goes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_character_of_the_basic_plane_is_kept_unless_a_terminal_obeys_it() -> None:
    characters = [chr(point) for point in range(0x10000)]
    harmless = "".join(character for character in characters if not is_obeyed(character))

    assert printable(harmless) == harmless
    for character in set(characters) - set(harmless):
        assert printable(f"a{character}") == ("a " if character == "\n" else "a"), ascii(character)


@given(hard_text)
@example("\x1b\x1b[A[B")
@example("\x9b\x9b1m1m")
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert not [character for character in printable(text) if is_obeyed(character)]


@given(hard_text)
def test_it_is_one_line(text: str) -> None:
    assert len(printable(text).splitlines()) <= 1
    assert "\n" not in printable(text)


@given(hard_text)
def test_what_is_printable_already_is_not_changed_again(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(hard_text)
def test_it_can_be_encoded(text: str) -> None:
    assert printable(text).encode().decode() == printable(text)


@given(st.text().filter(str.isprintable))
def test_any_printable_text_is_unchanged(text: str) -> None:
    assert printable(text) == text


@given(hard_text)
def test_text_that_is_obeyed_by_no_terminal_is_unchanged(text: str) -> None:
    harmless = "".join(character for character in text if not is_obeyed(character))

    assert printable(harmless) == harmless


@pytest.mark.parametrize("piece", ["\x9d", "\x1b[", "\x1b]", "\x1bP", "\x9b0", "\x1b[ !", "\x90a"])
def test_a_long_line_of_sequences_without_an_end_is_cleaned_as_quickly_as_any_other(piece: str) -> None:
    # A pattern that looks for each end from each beginning takes minutes here; the test does not end then.
    assert len(printable(piece * (1_048_576 // len(piece)))) < 1_048_576
