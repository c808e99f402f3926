"""User names: prepared, compared and limited (RFC 8266, the PRECIS nickname profile)."""

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

MAX_LENGTH = 32

# The protocol and the log write `alice: hello` for a person, `* ...` for the server and `[date] ...` for the past, and
# people write `/...` for a command. A name must not look like any of these.
_DELIMITER = ":"
_MARKS = ("*", "[", "/")

# Characters that RFC 8266 allows, but that look like the delimiter, or like a blank at the end of another name: the
# ratio, the modifier letter colon, the Braille pattern without dots.
_DECEPTIVE = ("\u2236", "\ua789", "\u2800")

# What the decoder puts in place of bytes that are not UTF-8.
_REPLACEMENT = "\ufffd"


class InvalidName(ValueError):
    """The text cannot be a user name. The message tells the person who typed it why."""


def prepare(text: str) -> str:
    """Return the name that `text` asks for, as it will be shown. Raises `InvalidName`."""
    # Composition shortens a name, but never to a quarter. These checks keep whole lines away from the tables, and also
    # text that becomes that long when it is normalized: U+FDFA alone becomes 18 characters.
    if len(text) > 4 * MAX_LENGTH or len(unicodedata.normalize("NFKC", text)) > 4 * MAX_LENGTH:
        raise InvalidName(f"a name has at most {MAX_LENGTH} characters")
    try:
        name = _profile("NicknameCasePreserved").enforce(text)
    except UnicodeEncodeError as error:
        if error.reason == "DISALLOWED/empty":
            raise InvalidName("a name cannot be empty") from None
        culprit = ascii(error.object[error.start : error.end])
        raise InvalidName(f"a name cannot contain {culprit}") from None
    if _REPLACEMENT in name:
        raise InvalidName("a name has to be UTF-8")
    if len(name) > MAX_LENGTH:
        raise InvalidName(f"a name has at most {MAX_LENGTH} characters, this one has {len(name)}")
    if _DELIMITER in name:
        raise InvalidName("a name cannot contain ':'")
    if name.startswith(_MARKS):
        raise InvalidName(f"a name cannot begin with {name[0]!r}")
    for culprit in _DECEPTIVE:
        if culprit in name:
            raise InvalidName(f"a name cannot contain {culprit!a}")
    # A combining mark would be drawn over whatever stands before the name.
    if unicodedata.category(name[0]).startswith("M"):
        raise InvalidName(f"a name cannot begin with {name[0]!a}")
    return name


def comparison_key(name: str) -> str:
    """Return a key that two prepared names share if they count as the same name."""
    if name.isascii():
        return name.lower()  # the profile does the same, and takes a hundred times as long
    return str(_profile("NicknameCaseMapped").enforce(name))


@cache
def _profile(name: str) -> "Profile":
    # This import takes some milliseconds. The first name waits for it, rather than every start.
    from precis_i18n import get_profile

    return get_profile(name)
