"""Keep a room to the language that it agreed on: refuse listed words, and messages in another script.

Run it with `trichat serve --plugin examples/language_filter.py`, and configure it in `trichat.toml`. A filter of this
kind makes more mistakes than you expect. So first see what it would have done with the messages so far, with
`trichat replay --plugin examples/language_filter.py`. Then let it run in shadow for a week, where it only logs:

    [plugins.language_filter]
    shadow = true
    words = ["darn", "heck"]
    scripts = ["latin", "greek"]
"""

import re
import unicodedata
from functools import lru_cache
from typing import Annotated, Literal

from trichat import Message, Meta, Options, Refuse, hookimpl

Script = Literal[
    "arabic", "cjk", "cyrillic", "devanagari", "greek", "hangul", "hebrew", "hiragana", "katakana", "latin"
]


class LanguageFilterOptions(Options, frozen=True):
    """The table `[plugins.language_filter]`."""

    words: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], "The words that nobody may use."] = ()
    scripts: Annotated[tuple[Script, ...], "The scripts that people may write in; empty for all."] = ()
    share: Annotated[
        float, Meta(ge=0, le=1), "The share of letters that may be in another script, for names and quotations."
    ] = 0.5


class LanguageFilter:
    """Refuses messages and says why. Silently changing people's words would teach them nothing."""

    def __init__(self, options: LanguageFilterOptions) -> None:
        self._options = options
        words = "|".join(re.escape(word) for word in sorted(options.words, key=len, reverse=True))
        # Whole words only, or people from Scunthorpe could not name their town.
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    # Last, so that commands pass, and so that it sees what other plugins have changed.
    @hookimpl(trylast=True)
    def on_message(self, message: Message) -> Refuse | None:
        """Refuse a message with a listed word or with too many letters of another script."""
        found = self._words.search(message.text) if self._words is not None else None
        if found is not None:
            return Refuse(f"please without {found[0]!r}")
        if self._options.scripts and self._foreign(message.text) > self._options.share:
            return Refuse(f"please in these scripts: {', '.join(self._options.scripts)}")
        return None

    def _foreign(self, text: str) -> float:
        """Return the share of the letters that are in another script."""
        letters = [_script(letter) for letter in text if letter.isalpha()]
        return sum(script not in self._options.scripts for script in letters) / max(1, len(letters))


@lru_cache(maxsize=10_000)
def _script(letter: str) -> str:
    """Return the script of a letter, which is the first word of its Unicode name."""
    return unicodedata.name(letter, "").replace("-", " ").partition(" ")[0].lower()
