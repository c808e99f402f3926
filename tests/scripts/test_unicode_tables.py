"""The script that makes the tables of `trichat/_base/unicode/` from Unicode's own files."""

from pathlib import Path

import pytest
import unicode_tables

CONFUSABLES = """\
\ufeff# confusables.txt
0430 ;\t0061 ;\tMA\t# CYRILLIC SMALL LETTER A → LATIN SMALL LETTER A\t#

041C ;\t004D ;\tMA\t# CYRILLIC CAPITAL LETTER EM → LATIN CAPITAL LETTER M\t#
006D ;\t0072 006E ;\tMA\t# LATIN SMALL LETTER M → LATIN SMALL LETTER R, LATIN SMALL LETTER N\t#
0030 ;\t004F ;\tMA\t# DIGIT ZERO → LATIN CAPITAL LETTER O\t#
FF0A ;\t002A ;\tMA\t#* FULLWIDTH ASTERISK → ASTERISK\t#
1680 ;\t0020 ;\tMA\t#* OGHAM SPACE MARK → SPACE\t#
"""

SCRIPTS = """\
# Scripts.txt
0041..005A    ; Latin # L&  [26] LATIN CAPITAL LETTER A..LATIN CAPITAL LETTER Z
0061..007A    ; Latin # L&  [26] LATIN SMALL LETTER A..LATIN SMALL LETTER Z
00AA          ; Latin # Lo       FEMININE ORDINAL INDICATOR
0000..001F    ; Common # Cc  [32] <control-0000>..<control-001F>
00A9          ; Common # So       COPYRIGHT SIGN
"""

EMOJI = """\
0023          ; Emoji                # E0.0   [1] (#️)       hash sign
1F1E6..1F1FF  ; Emoji                # E0.0  [26] (🇦..🇿)    regional indicators
2614..2615    ; Emoji                # E0.6   [2] (☔..☕)    umbrella with rain drops..hot beverage
2613          ; Emoji                # made up: next to the others
231A..231B    ; Emoji_Presentation   # E0.6   [2] (⌚..⌛)    watch..hourglass done
"""


def test_confusables_look_like_their_prototypes_in_any_case() -> None:
    lines = list(unicode_tables.confusables(CONFUSABLES.splitlines()))
    assert lines == ["0 o", "M rn", "m rn", "\u0410 a", "\u041c rn", "\u0430 a"]


def test_a_run_of_a_script_ends_where_the_next_one_begins() -> None:
    assert list(unicode_tables.scripts(SCRIPTS.splitlines())) == ["0 Common", "41 Latin", "a9 Common", "aa Latin"]


def test_emoji_are_those_that_are_emoji_alone() -> None:
    assert list(unicode_tables.emoji(EMOJI.splitlines())) == ["2613 2615"]


def test_the_tables_are_written_to_their_folder(tmp_path: Path) -> None:
    sources = [tmp_path / name for name in ("Confusables.txt", "Scripts.txt", "Emoji.txt")]
    for path, text in zip(sources, (CONFUSABLES, SCRIPTS, EMOJI), strict=True):
        path.write_text(text, encoding="utf-8")
    (tmp_path / "tables").mkdir()

    unicode_tables.main([*map(str, sources), "--to", str(tmp_path / "tables")])

    assert (tmp_path / "tables" / "emoji.txt").read_text(encoding="utf-8") == "2613 2615\n"
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        path.name for path in unicode_tables.TABLES.glob("*.txt")
    }


@pytest.mark.parametrize(("text", "points"), [("0041", [0x41]), ("0041..0043", [0x41, 0x42, 0x43])])
def test_a_span_is_one_code_point_or_several(text: str, points: list[int]) -> None:
    assert list(unicode_tables.span(text)) == points
