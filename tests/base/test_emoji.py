"""Emoji sequences are set aside and put back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat._base import emoji
from trichat._base.emoji import STAND_IN

FAMILY, HEART, KEYCAP = "👨\u200d👩\u200d👧", "❤\ufe0f", "1\ufe0f\u20e3"


@pytest.mark.parametrize(
    ("text", "plain", "sequences"),
    [
        pytest.param("alice", "alice", [], id="no emoji"),
        pytest.param("alice 🦑", "alice 🦑", [], id="an emoji of one character"),
        pytest.param("👍🏽🇩🇪", "👍🏽🇩🇪", [], id="a skin tone and a flag, which need no help"),
        pytest.param("🦑 ❤\ufe0f", f"🦑 {STAND_IN}", [HEART], id="a selector"),
        pytest.param("☺\ufe0e", STAND_IN, ["☺\ufe0e"], id="the selector of text"),
        pytest.param("a1\ufe0f\u20e3", f"a{STAND_IN}", [KEYCAP], id="a keycap"),
        pytest.param(f"a{FAMILY}b{HEART}", f"a{STAND_IN}b{STAND_IN}", [FAMILY, HEART], id="a family, and a selector"),
        pytest.param(FAMILY + FAMILY, STAND_IN + STAND_IN, [FAMILY, FAMILY], id="one after the other"),
        pytest.param("👩🏽\u200d💻", STAND_IN, ["👩🏽\u200d💻"], id="a joiner after a skin tone"),
        pytest.param("🏳\ufe0f\u200d⚧\ufe0f", STAND_IN, ["🏳\ufe0f\u200d⚧\ufe0f"], id="a joiner after a selector"),
        pytest.param("™\ufe0f", STAND_IN, ["™\ufe0f"], id="a compatibility character"),
        pytest.param("a\ufe0f", "a\ufe0f", [], id="a selector after a letter"),
        pytest.param("1\ufe0f", "1\ufe0f", [], id="a selector after a digit"),
        pytest.param("♪\ufe0f", "♪\ufe0f", [], id="a selector after another symbol"),
        pytest.param("\ufe0f", "\ufe0f", [], id="a selector alone"),
        pytest.param("❤\ufe0f\ufe0f", f"{STAND_IN}\ufe0f", [HEART], id="two selectors"),
        pytest.param("❤\u200d", "❤\u200d", [], id="a joiner that joins nothing"),
        pytest.param("❤\u200d\u200d❤", "❤\u200d\u200d❤", [], id="two joiners"),
        pytest.param("❤\u200da", "❤\u200da", [], id="a joiner before a letter"),
        pytest.param("1\u200d2", "1\u200d2", [], id="a joiner between digits"),
        pytest.param("🇩\u200d🇪", "🇩\u200d🇪", [], id="a joiner between the letters of a flag"),
        pytest.param(
            "\U0010ffff\ufe0f", "\U0010ffff\ufe0f", [], id="a selector after a code point without a character"
        ),
    ],
)
def test_sequences_that_need_it_are_set_aside(text: str, plain: str, sequences: list[str]) -> None:
    assert emoji.set_aside(text) == (plain, sequences)


@given(
    st.lists(st.sampled_from(["a", " ", "1", "\u20e3", "❤", "👩", "🏽", "🇩", "\u200d", "\ufe0f", "\ufe0e"])).map(
        "".join
    )
)
def test_what_was_set_aside_is_put_back(text: str) -> None:
    assert emoji.put_back(*emoji.set_aside(text)) == text
