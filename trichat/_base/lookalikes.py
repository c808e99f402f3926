"""What characters and names look like: confusables, scripts and invisible characters (UTS #39, UAX #24).

The tables are those of Unicode 18, made by `scripts/unicode_tables.py`. They are read when the first name that is not
ASCII needs them.
"""

import unicodedata
from bisect import bisect
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_TABLES = Path(__file__).with_name("unicode")

# The protocol writes these before or after a name.
_DELIMITERS = ":*["

# What looks like a delimiter, too, but not according to the table.
_ALSO_LIKE_DELIMITERS = {
    ":": "\u1804\u2982",
    "*": "\u2731\u2732\u2733\u273b\u273d\ua673" + "".join(map(chr, range(0x1F7AF, 0x1F7C0))),
    "[": "\u2045\u27e6\u298d\u298f\u2e55\u2e57",
}

# The joiners and the variation selectors are all the default-ignorable characters that a name may contain. The null
# notehead is drawn as nothing.
_INVISIBLE = dict.fromkeys(map(ord, "\u200c\u200d\ufe0e\ufe0f\U0001d159"))


def visible(text: str) -> str:
    """Return `text` without the characters that cannot be seen in it."""
    return text if text.isascii() else text.translate(_INVISIBLE)


def skeleton(text: str) -> str:
    """Return what `text` has in common with all texts that look like it, in lower case.

    It depends on the case of `text`: a capital I looks like an l, a small one does not.
    """
    looks = unicodedata.normalize("NFKD", visible(text)).translate(_confusables()).casefold()
    return unicodedata.normalize("NFKD", looks)


def script(text: str) -> str | None:
    """Return the one script in which `text` is written, or `None` if it mixes several.

    ASCII digits and punctuation, marks, and symbols that look like nothing else go with any script. Text of these alone
    counts as Latin.
    """
    if text.isascii():
        return "Latin"
    scripts = {_script(character) for character in visible(text)} - {None}
    if not scripts:
        return "Latin"
    return scripts.pop() if len(scripts) == 1 and "Common" not in scripts else None


def first_like_a_delimiter(text: str) -> tuple[str, str] | None:
    """Return the first character of `text` that looks like a colon, a star or a bracket, and which of them."""
    like = _like_delimiters()
    return next(((character, like[character]) for character in text if character in like), None)


def _script(character: str) -> str | None:
    """Return the script of a character, or `None` if it goes with any script."""
    starts, scripts = _scripts()
    script = scripts[bisect(starts, ord(character)) - 1]
    if script == "Common" and not character.isascii() and ord(character) in _confusables():
        return script  # a symbol that can be taken for a letter must not pass for one of its script
    return None if script in ("Common", "Inherited") else script


@cache
def _confusables() -> Mapping[int, str]:
    """Return what each character looks like that looks like others; its case is folded."""
    return {ord(line[0]): line[2:] for line in _lines("confusables.txt")}


@cache
def _scripts() -> tuple[Sequence[int], Sequence[str]]:
    """Return where a run of characters of one script begins, and which script it is."""
    runs = [line.split() for line in _lines("scripts.txt")]
    return [int(start, 16) for start, _ in runs], [script for _, script in runs]


@cache
def _like_delimiters() -> Mapping[str, str]:
    """Return which delimiter each character looks like that looks like one."""
    also = {like: delimiter for delimiter, alike in _ALSO_LIKE_DELIMITERS.items() for like in alike}
    marks = {delimiter: delimiter for delimiter in _DELIMITERS} | also
    listed = {chr(point): marks[mark] for point, looks in _confusables().items() for mark in looks if mark in marks}
    return listed | also


def _lines(table: str) -> Sequence[str]:
    # `splitlines` would break lines at other characters, too.
    return (_TABLES / table).read_text(encoding="utf-8").removesuffix("\n").split("\n")
