"""Replace listed words in messages with asterisks: whole words only, in upper and lower case.

Run it with `trichat serve --plugin examples/word_filter.py`, and list the words in `trichat.toml`:

    [plugins.word_filter]
    words = ["darn", "heck"]
"""

import re
from typing import Annotated

from trichat import Message, Meta, Options, hookimpl


class WordFilterOptions(Options, frozen=True):
    """The table `[plugins.word_filter]`."""

    words: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], "The words to replace."] = ()


class WordFilter:
    """Replaces words with asterisks."""

    def __init__(self, options: WordFilterOptions) -> None:
        # If two words begin alike, try the longer one first.
        words = "|".join(re.escape(word) for word in sorted(options.words, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    # Last, so that commands get what was typed, and so that it changes only what will be sent.
    @hookimpl(trylast=True)
    def on_message(self, message: Message) -> Message | None:
        """Return the changed message; `None` leaves it as it is."""
        if self._pattern is None:
            return None
        return message.with_text(self._pattern.sub(_asterisks, message.text))


def _asterisks(word: re.Match[str]) -> str:
    return "*" * len(word[0])
