"""Emoji sequences (UTS #51): several characters that are drawn as one picture."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

STAND_IN = "\ufffc"
"""The object replacement character: what stands for a sequence that is set aside."""

# The zero-width joiner, and the selectors of the text and the emoji presentation.
_JOINER, _AS_TEXT, _AS_EMOJI = "\u200d", "\ufe0e", "\ufe0f"
_NEEDED = re.compile(f"[{_JOINER}{_AS_TEXT}{_AS_EMOJI}]")


def set_aside(text: str) -> tuple[str, list[str]]:
    """Return `text` with a `STAND_IN` for each sequence that holds a joiner or a selector, and these sequences."""
    if not _NEEDED.search(text):
        return text, []
    sequences: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        if not _NEEDED.search(found[0]):
            return found[0]
        sequences.append(found[0])
        return STAND_IN

    return _sequence().sub(stand_in, text), sequences


def put_back(text: str, sequences: Sequence[str]) -> str:
    """Return `text` with the sequences that were set aside, in their order, in place of each `STAND_IN`."""
    rest = iter(sequences)
    return re.sub(STAND_IN, lambda _: next(rest), text)


@cache
def _sequence() -> re.Pattern[str]:
    # Sequences spelled with tags, such as the flag of Wales, are left out: tags are an invisible alphabet.
    picture = f"[{_pictures()}](?:[\U0001f3fb-\U0001f3ff]|{_AS_EMOJI}|{_AS_TEXT})?"
    return re.compile(f"[0-9#*]{_AS_EMOJI}\u20e3|{picture}(?:{_JOINER}{picture})*")


def _pictures() -> str:
    table = Path(__file__).with_name("unicode") / "emoji.txt"
    runs = ([int(end, 16) for end in line.split()] for line in table.read_text(encoding="ascii").splitlines())
    pictures = (chr(point) for first, last in runs for point in range(first, last + 1))
    # The table may be newer than this Python. RFC 8266 allows nothing that Python does not know yet.
    return "".join(picture for picture in pictures if unicodedata.category(picture) != "Cn")
