"""Blanks in a transcript: `[...]` stands for text that no test can know, such as a time.

`[...id]` is a blank with a name. The first line that it matches fills it in. After that it stands for the same text, in
what people hear and in what they say.
"""

import re
from collections.abc import Iterator, Sequence

_BLANK = re.compile(r"\[\.\.\.(\w*)\]")


class Blanks:
    """The blanks of one transcript, with what has filled them in so far."""

    def __init__(self) -> None:
        self._filled: dict[str, str] = {}

    def filled(self, text: str) -> str:
        """Return the text with what its blanks stand for. Raises `LookupError` for one that nothing has filled in."""
        for blank in _BLANK.finditer(text):
            if blank[1] not in self._filled:
                raise LookupError(f"nothing has filled in {blank[0]}; give it a name in a line that somebody hears")
        return _BLANK.sub(lambda blank: self._filled[blank[1]], text)

    def recognized(self, expected: Sequence[str], heard: Sequence[str]) -> Iterator[str]:
        """Yield the lines that were `heard`, each as the first of the `expected` lines that matches it, if any does."""
        left = list(expected)
        for line in heard:
            match = next((each for each in left if self._matches(each, line)), None)
            if match is not None:
                left.remove(match)
            yield line if match is None else match

    def _matches(self, expected: str, line: str) -> bool:
        """Whether a line is what was expected; if so, it fills in the blanks."""
        begin, pattern, names = 0, "", list[str]()
        for blank in _BLANK.finditer(expected):
            pattern += re.escape(expected[begin : blank.start()])
            begin, name = blank.end(), blank[1]
            if name in self._filled:
                pattern += re.escape(self._filled[name])
            elif name and name in names:
                pattern += f"(?:\\{names.index(name) + 1})"
            else:
                pattern += "(.*?)"
                names.append(name)
        found = re.fullmatch(pattern + re.escape(expected[begin:]), line)
        if found is None:
            return False
        self._filled |= {name: text for name, text in zip(names, found.groups(), strict=True) if name}
        return True
