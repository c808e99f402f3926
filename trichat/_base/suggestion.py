"""What somebody may have meant who misspelled a word."""

from collections.abc import Iterable

# How much alike two words are, from 0 to 1. With less, `/list` would suggest `/stop`.
LIKENESS = 0.65


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean '...'?)` if a known word looks like `word`, or else an empty string.

    It follows a sentence which says that there is no such thing.
    """
    import difflib  # needed only for a misspelled word

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=LIKENESS)
    return f" (did you mean {close[0]!r}?)" if close else ""
