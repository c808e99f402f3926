"""Keeps a room to the language that it agreed on: it refuses words of a list, and messages in another script.

Run it with `trichat serve --plugin examples/language_filter.py`, and say in `trichat.toml` what it looks for. A filter
of this kind is wrong more often than one thinks. So see first what it would have made of what was said so far, with
`trichat replay --plugin examples/language_filter.py`, and let it run in shadow for a week, where it only logs:

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

    words: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], "The words that nobody is to use."] = ()
    scripts: Annotated[tuple[Script, ...], "The scripts that people may write in; all if there are none."] = ()
    share: Annotated[
        float, Meta(ge=0, le=1), "How much of the letters of a message may be of another script: names, quotations."
    ] = 0.5


class LanguageFilter:
    """Refuses, and says why: somebody whose words were changed behind his back learns nothing."""

    def __init__(self, options: LanguageFilterOptions) -> None:
        self._options = options
        words = "|".join(re.escape(word) for word in sorted(options.words, key=len, reverse=True))
        # As whole words, so that nobody from Scunthorpe is kept out.
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    # Last, so that commands go through, and what others make of a message is looked at.
    @hookimpl(trylast=True)
    def on_message(self, message: Message) -> Refuse | None:
        """Refuse what is in the wrong words or the wrong letters."""
        found = self._words.search(message.text) if self._words is not None else None
        if found is not None:
            return Refuse(f"please without {found[0]!r}")
        if self._options.scripts and self._foreign(message.text) > self._options.share:
            return Refuse(f"please in these scripts: {', '.join(self._options.scripts)}")
        return None

    def _foreign(self, text: str) -> float:
        """Return which share of the letters is of another script."""
        letters = [_script(letter) for letter in text if letter.isalpha()]
        return sum(script not in self._options.scripts for script in letters) / max(1, len(letters))


@lru_cache(maxsize=10_000)
def _script(letter: str) -> str:
    """Return the script of a letter: by Unicode, the first word of its name says it."""
    return unicodedata.name(letter, "").replace("-", " ").partition(" ")[0].lower()
