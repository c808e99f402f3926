"""Names: prepared, compared and limited as RFC 8266 says."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Message
from trichat._base import lookalikes, nicknames
from trichat._base.text import printable

LONGEST = "x" * 32

# By the confusables of UTS #39; by characters that look like these; and by what it lacks.
LIKE_DELIMITERS = {
    ":": "\u0589\u05c3\u0903\u02f8\u205a\u2236\ua789" + "\u2237" + "\u2982",
    "*": "\u066d\u204e\u2217" + "\u156f" + "\u2731\u2733\U0001f7b6",
    "[": "\u298b" + "\u301a" + "\u27e6",
}

# In Persian and in Hindi, each with a joiner that its script needs there.
JOINED = ["\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "\u0915\u094d\u200d\u0937"]

EMOJI = {
    "a selector": "❤\ufe0f",
    "the selector of text": "☺\ufe0e",
    "a keycap": "1\ufe0f\u20e3",
    "a flag": "🇩🇪",
    "a skin tone": "👍🏽",
    "a family": "👨\u200d👩\u200d👧",
    "a joiner and a skin tone": "👩🏽\u200d💻",
    "a joiner and selectors": "🏳\ufe0f\u200d⚧\ufe0f",
    "a compatibility character": "™\ufe0f",
}

# Any text at all, in which what the rules are about is frequent, joiners in their context among it.
hard_text = st.lists(
    st.sampled_from([*" \u3000\xa0:*[/!#ςΣσßẞİıｶﾞ\u0345\u0301\u0323\u200d\ufe0f\u0660\ua789\u2236\u2800\U0001d159"])
    | st.sampled_from([*JOINED, *EMOJI.values()])
    | st.characters(exclude_categories=("Cn", "Co")),
    max_size=12,
).map("".join)


def prepared_or_none(text: str) -> str | None:
    try:
        return nicknames.prepare(text)
    except nicknames.InvalidName:
        return None


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Alice",
        "Alice B.",
        "zoë",
        "Ζωή",
        "雪",
        "משה",
        "R2-D2",
        "42",
        "o'hara",
        "a[b]/c",
        "a#b&c$d+e%f~g",
        "(alice)",
        "🦑",
        "_",
        "bye",
        *JOINED,
        "बड़ों",  # of its three marks, the one in the middle takes space
        LONGEST,
    ],
)
def test_a_good_name_is_shown_as_it_was_typed(name: str) -> None:
    assert nicknames.prepare(name) == name


@pytest.mark.parametrize("sequence", [pytest.param(sequence, id=what) for what, sequence in EMOJI.items()])
def test_an_emoji_sequence_is_shown_as_it_was_typed(sequence: str) -> None:
    assert nicknames.prepare(sequence) == sequence
    assert nicknames.prepare(f"  alice {sequence}{sequence}  \uff22. ") == f"alice {sequence}{sequence} B."


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        pytest.param("  alice  ", "alice", id="blanks around"),
        pytest.param("alice   b", "alice b", id="blanks between"),
        pytest.param("alice\xa0b", "alice b", id="a no-break space"),
        pytest.param("\u3000alice\u3000", "alice", id="ideographic spaces"),
        pytest.param("\uff41\uff4cice", "alice", id="full width"),
        pytest.param("ｶﾞ", "ガ", id="half width"),
        pytest.param("zoe\u0308", "zoë", id="a combining mark"),
        pytest.param("Henry \u2163", "Henry IV", id="a compatibility character"),
        pytest.param("e\u0301" * 32, "é" * 32, id="longer than the limit only until it is composed"),
        pytest.param(" " * 40 + LONGEST, LONGEST, id="longer than the limit only by blanks"),
    ],
)
def test_a_name_is_normalized(typed: str, shown: str) -> None:
    assert nicknames.prepare(typed) == shown


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("", "a name cannot be empty", id="empty"),
        pytest.param("   ", "a name cannot be empty", id="blank"),
        pytest.param("\xa0\u3000", "a name cannot be empty", id="other blanks"),
        pytest.param("al\x07ice", "a name cannot contain '\\x07'", id="a control character"),
        pytest.param("al\tice", "a name cannot contain '\\t'", id="a tab"),
        pytest.param("al\nice", "a name cannot contain '\\n'", id="a line feed"),
        pytest.param("\x1b[31malice", "a name cannot contain '\\x1b'", id="an escape sequence"),
        pytest.param("al\u202eice", "a name cannot contain '\\u202e'", id="a bidirectional override"),
        pytest.param("al\u200bice", "a name cannot contain '\\u200b'", id="a zero-width space"),
        pytest.param(
            "al\u200dice",
            "a name can contain '\\u200d' only in an emoji, or where its script needs it",
            id="a joiner out of its context",
        ),
        pytest.param(
            "al\u200cice",
            "a name can contain '\\u200c' only where its script needs it",
            id="a non-joiner out of its context",
        ),
        pytest.param(
            "👩\u200d",
            "a name can contain '\\u200d' only in an emoji, or where its script needs it",
            id="an emoji that joins nothing",
        ),
        pytest.param(
            "🇩\u200d🇪",
            "a name can contain '\\u200d' only in an emoji, or where its script needs it",
            id="letters of a flag that are joined",
        ),
        pytest.param(
            "al\ufe0fice", "a name can contain '\\ufe0f' only after an emoji", id="the selector of emoji, on a letter"
        ),
        pytest.param(
            "❤\ufe0f\ufe0f", "a name can contain '\\ufe0f' only after an emoji", id="the selector of emoji, twice"
        ),
        pytest.param(
            "al\ufe0eice", "a name can contain '\\ufe0e' only after an emoji", id="the selector of text, on a letter"
        ),
        pytest.param("🏴\U000e0067\U000e007f", "a name cannot contain '\\U000e0067'", id="invisible tags"),
        pytest.param("❤\ufe0f \ufffc", "a name cannot contain '\\ufffc'", id="a stand-in for an emoji"),
        pytest.param("al\xadice", "a name cannot contain '\\xad'", id="a soft hyphen"),
        pytest.param("al\u2028ice", "a name cannot contain '\\u2028'", id="a line separator"),
        pytest.param("al\ufffe", "a name cannot contain '\\ufffe'", id="a noncharacter"),
        pytest.param("al\ue000", "a name cannot contain '\\ue000'", id="private use"),
        pytest.param("al\ud800ice", "a name cannot contain '\\ud800'", id="a surrogate"),
        pytest.param(LONGEST + "x", "a name has at most 32 characters, this one has 33", id="one too long"),
        pytest.param("\ufdfa" * 2, "a name has at most 32 characters, this one has 36", id="too long when normalized"),
        pytest.param("x" * 10_000, "a name has at most 32 characters", id="a whole book"),
        pytest.param("\x07" * 10_000, "a name has at most 32 characters", id="a whole book of nothing"),
        pytest.param("\ufdfa" * 128, "a name has at most 32 characters", id="a whole book when normalized"),
        pytest.param("alice: hi", "a name cannot contain ':'", id="like a message"),
        pytest.param("alice\uff1ahi", "a name cannot contain ':'", id="like a message, full width"),
        pytest.param("* alice", "a name cannot contain '*'", id="like the server"),
        pytest.param("\uff0a alice", "a name cannot contain '*'", id="like the server, full width"),
        pytest.param("  *", "a name cannot contain '*'", id="like the server, after blanks"),
        pytest.param("*\ufe0f\u20e3", "a name cannot contain '*'", id="like the server, a keycap"),
        pytest.param("[1970] alice", "a name cannot begin with '['", id="like the past"),
        pytest.param("\uff3balice", "a name cannot begin with '['", id="like the past, full width"),
        pytest.param("/help", "a name cannot begin with '/'", id="like a command"),
        pytest.param("\uff0fhelp", "a name cannot begin with '/'", id="like a command, full width"),
        *(pytest.param(f"al{mark}ice", f"a name cannot contain '{mark}'", id=f"{mark} inside") for mark in "!*,:?@"),
        *(pytest.param(f"{mark}alice", f"a name cannot contain '{mark}'", id=f"{mark} in front") for mark in "!*,:?@"),
        *(pytest.param(f"{mark}alice", f"a name cannot begin with '{mark}'", id=mark) for mark in "#$%&+/[~"),
        pytest.param("\U0001d159 [alice", "a name cannot begin with '['", id="like the past, after what is not seen"),
        *(
            pytest.param(
                f"al{alike}ice",
                f"a name cannot contain {alike!a}, which looks like {mark!r}",
                id=f"like {mark}, {alike!a}",
            )
            for mark, characters in LIKE_DELIMITERS.items()
            for alike in characters
        ),
        pytest.param("alice\u2800", "a name cannot contain '\\u2800'", id="like another name, a blank of Braille"),
        pytest.param("\U0001d159", "a name cannot be empty", id="nothing that can be seen"),
        pytest.param("\U0001d159\u0301alice", "a name cannot begin with '\\u0301'", id="a mark on what is not seen"),
        pytest.param("x\u0301\u0301\u0301", "a name has at most 2 combining marks in a row", id="three marks"),
        pytest.param(
            "\u0e01\u0e47\u0e47\u0e47", "a name has at most 2 combining marks in a row", id="three Thai marks"
        ),
        pytest.param(
            "\u0915\u094d\u200d\u094d\u200d\u094d", "a name has at most 2 combining marks in a row", id="joined marks"
        ),
        pytest.param("\u0301alice", "a name cannot begin with '\\u0301'", id="a combining mark over what is before it"),
        pytest.param("\u0301", "a name cannot begin with '\\u0301'", id="a combining mark alone"),
        pytest.param("  \u20ddalice", "a name cannot begin with '\\u20dd'", id="an enclosing mark, after blanks"),
        pytest.param("al\ufffdce", "a name has to be UTF-8", id="what the decoder could not read"),
    ],
)
def test_a_bad_name_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(nicknames.InvalidName) as refusal:
        nicknames.prepare(typed)

    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "ALICE"),
        ("alice", "Alice"),
        ("Ζωης", "ΖΩΗΣ"),
        ("éa", "ÉA"),
        ("K", "\u212a"),  # the Kelvin sign
        ("IV", "\u2163"),
        ("ｶﾞ", "ガ"),
        ("two  words", " Two Words"),
        ("alice", "alice\U0001d159"),
        ("alice", "Al\U0001d159ice \U0001d159"),
        (JOINED[0], JOINED[0].replace("\u200c", "")),
        ("\u0915\u094d", "\u0915\u094d\u200d"),
        ("❤", "❤\ufe0f"),
        ("❤\ufe0e", "❤\ufe0f"),
        ("1\u20e3", "1\ufe0f\u20e3"),
        ("👨👩", "👨\u200d👩"),
    ],
)
def test_names_that_differ_in_case_or_in_what_cannot_be_seen_are_the_same(one: str, other: str) -> None:
    assert nicknames.comparison_key(nicknames.prepare(one)) == nicknames.comparison_key(nicknames.prepare(other))


@pytest.mark.parametrize(
    ("one", "other"), [("alice", "alicia"), ("zoe", "zoë"), ("a b", "ab"), ("o", "0"), ("ß", "ss"), ("👍🏽", "👍🏿")]
)
def test_other_names_count_as_others(one: str, other: str) -> None:
    assert nicknames.comparison_key(nicknames.prepare(one)) != nicknames.comparison_key(nicknames.prepare(other))


@given(hard_text)
def test_an_accepted_name_is_accepted_again_and_is_the_same(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        again = nicknames.prepare(name)
        assert again == name
        assert nicknames.comparison_key(again) == nicknames.comparison_key(name)


@pytest.mark.parametrize(
    ("text", "name", "secret"),
    [
        pytest.param("alice", "alice", "", id="none"),
        pytest.param("alice !TOKEN", "alice", "TOKEN", id="one"),
        pytest.param("alice  \t!TOKEN", "alice", "TOKEN", id="after other blanks"),
        pytest.param("alice\u3000!TOKEN", "alice", "TOKEN", id="after an ideographic space"),
        pytest.param("Alice B. !TOKEN", "Alice B.", "TOKEN", id="after two words"),
        pytest.param("alice !correct horse ", "alice", "correct horse ", id="of two words"),
        pytest.param("alice !one !two", "alice", "one !two", id="with the mark in it"),
        pytest.param("alice !!", "alice", "!", id="that is the mark"),
        pytest.param("alice !", "alice", "", id="empty"),
        pytest.param("!TOKEN", "", "TOKEN", id="without a name"),
        pytest.param(" !TOKEN", "", "TOKEN", id="without a name, after a blank"),
        pytest.param("alice!TOKEN", "alice!TOKEN", "", id="in the name's word"),
    ],
)
def test_a_secret_is_split_off_the_name(text: str, name: str, secret: str) -> None:
    assert nicknames.split_secret(text) == (name, secret)


@given(hard_text)
def test_no_name_and_no_refusal_tells_a_secret(text: str) -> None:
    name, secret = nicknames.split_secret(f"{text} !TOKEN\x07")
    assert "TOKEN\x07" in secret
    try:
        shown = nicknames.prepare(name)
    except nicknames.InvalidName as refusal:
        shown = str(refusal)
    assert "TOKEN" not in shown


@pytest.mark.parametrize("text", ["alice!TOKEN", "alice \uff01TOKEN", "alice \U0001d159!TOKEN"])
def test_what_is_not_split_off_is_refused_without_being_told(text: str) -> None:
    name, _ = nicknames.split_secret(text)
    with pytest.raises(nicknames.InvalidName, match=r"^a name cannot contain '!'$"):
        nicknames.prepare(name)


@given(st.text("".join(map(chr, range(128))), max_size=40))
def test_names_of_ascii_are_prepared_as_the_profile_does(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        assert name == nicknames._profile("NicknameCasePreserved").enforce(text)


@given(st.text("".join(map(chr, range(128))), max_size=40))
def test_names_of_ascii_are_compared_as_the_profile_does(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        assert nicknames.comparison_key(name) == nicknames._profile("NicknameCaseMapped").enforce(name)


@given(hard_text)
def test_an_accepted_name_can_be_claimed_in_any_case(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        key = nicknames.comparison_key(name)
        assert nicknames.comparison_key(key) == key


@given(hard_text)
def test_an_accepted_name_cannot_be_taken_for_anything_else_on_a_line(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        assert 1 <= len(name) <= 32
        visible = lookalikes.visible(name).strip()
        assert visible.isprintable()
        assert printable(name) == name
        assert not set(name) & set(":!*,?@\ua789\u2236\u2800")
        assert visible[0] not in "#$%&+/[~"
        assert not unicodedata.category(visible[0]).startswith("M")
        assert name == name.strip()


@given(hard_text)
def test_whoever_has_an_accepted_name_can_speak(text: str) -> None:
    name = prepared_or_none(text)
    if name is not None:
        assert Message("hello", name).sender == name
