"""User names: prepared, compared and limited (RFC 8266, the PRECIS nickname profile)."""

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from trichat._base import emoji, lookalikes

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

MAX_LENGTH = 32

# As many as a letter of a living script needs. More of them would be drawn across the lines above and below.
MAX_MARKS = 2

# The protocol and the log write `alice: hello` for a person, `* ...` for the server. `!` begins a secret, and people
# separate names with commas. IRC needs the rest: `alice!alice@host` is a person, `*` and `?` stand for any characters.
_FORBIDDEN = "!*,:?@"

# The past is `[date] ...`, and people write `/...` for a command. IRC has these marks before rooms and before the names
# of those who may do more than others.
_FORBIDDEN_IN_FRONT = "#$%&+/[~"

# Drawn as nothing, so a name would look like another one: the Braille pattern without dots, two blank hieroglyphs.
_BLANK = "\u2800\U00013441\U00013442"

# What the decoder puts in place of bytes that are not UTF-8.
_REPLACEMENT = "\ufffd"

_WHERE_ALLOWED = {
    "\u200c": "where its script needs it",
    "\u200d": "in an emoji, or where its script needs it",
    "\ufe0e": "after an emoji",
    "\ufe0f": "after an emoji",
}

# A secret follows the name: a word that begins with `!`, and everything after it.
_SECRET = re.compile(r"(?<!\S)!")


class InvalidName(ValueError):
    """The text cannot be a user name. The message tells the person who typed it why."""


def split_secret(text: str) -> tuple[str, str]:
    """Return what `text` has before the first word that begins with `!`, and all that follows this `!`.

    `alice !TOKEN` is the name `alice` with the secret `TOKEN`. The second part is empty if there is no secret.
    """
    secret = _SECRET.search(text)
    return (text[: secret.start()].rstrip(), text[secret.end() :]) if secret else (text, "")


def prepare(text: str) -> str:
    """Return the name that `text` asks for, as it will be shown. Raises `InvalidName`."""
    # Composition shortens a name, but never to a quarter. These checks keep whole lines away from the tables, and also
    # text that becomes that long when it is normalized: U+FDFA alone becomes 18 characters.
    if len(text) > 4 * MAX_LENGTH or len(unicodedata.normalize("NFKC", text)) > 4 * MAX_LENGTH:
        raise InvalidName(f"a name has at most {MAX_LENGTH} characters")
    # For printable ASCII, the profile does the same, and takes ten times as long.
    name = " ".join(text.split()) if text.isascii() and text.isprintable() else _enforced(text)
    if _REPLACEMENT in name:
        raise InvalidName("a name has to be UTF-8")
    if len(name) > MAX_LENGTH:
        raise InvalidName(f"a name has at most {MAX_LENGTH} characters, this one has {len(name)}")
    # What cannot be seen does not hide what a name begins with.
    visible = lookalikes.visible(name).strip()
    if not visible:
        raise InvalidName("a name cannot be empty")
    for culprit in name:
        if culprit in _FORBIDDEN:
            raise InvalidName(f"a name cannot contain {culprit!r}")
    if visible[0] in _FORBIDDEN_IN_FRONT:
        raise InvalidName(f"a name cannot begin with {visible[0]!r}")
    if not name.isascii():
        _check_looks(visible)
    return name


def comparison_key(name: str) -> str:
    """Return a key that two prepared names share if they differ only in case, and in what cannot be seen."""
    if name.isascii():
        return name.lower()  # the profile does the same, and takes a hundred times as long
    return str(_profile("NicknameCaseMapped").enforce(lookalikes.visible(name)))


def _enforced(text: str) -> str:
    plain, sequences = emoji.set_aside(text)
    if plain.count(emoji.STAND_IN) > len(sequences):
        raise InvalidName(f"a name cannot contain {emoji.STAND_IN!a}")
    try:
        plain = _profile("NicknameCasePreserved").enforce(plain)
    except UnicodeEncodeError as error:
        if error.reason == "DISALLOWED/empty":
            raise InvalidName("a name cannot be empty") from None
        culprit = error.object[error.start : error.end]
        if culprit in _WHERE_ALLOWED:
            raise InvalidName(f"a name can contain {culprit!a} only {_WHERE_ALLOWED[culprit]}") from None
        raise InvalidName(f"a name cannot contain {culprit!a}") from None
    return emoji.put_back(plain, sequences)


def _check_looks(visible: str) -> None:
    for culprit in visible:
        if culprit in _BLANK:
            raise InvalidName(f"a name cannot contain {culprit!a}")
    if like := lookalikes.first_like_a_delimiter(visible):
        raise InvalidName("a name cannot contain {!a}, which looks like {!r}".format(*like))
    # A combining mark would be drawn over whatever stands before the name.
    if unicodedata.category(visible[0]).startswith("M"):
        raise InvalidName(f"a name cannot begin with {visible[0]!a}")
    # Spacing marks (Mc) do not count: each stands next to the one before it.
    for are_marks, run in groupby(visible, key=lambda character: unicodedata.category(character) in ("Mn", "Me")):
        if are_marks and len([*run]) > MAX_MARKS:
            raise InvalidName(f"a name has at most {MAX_MARKS} combining marks in a row")


@cache
def _profile(name: str) -> "Profile":
    # This import takes some milliseconds. The first name that is not ASCII waits for it, rather than every start.
    from precis_i18n import get_profile

    return get_profile(name)
