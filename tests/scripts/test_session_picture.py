"""The picture in the README shows what a session prints today."""

from xml.etree import ElementTree

import pytest
from page_kit import ROOT
from session_picture import PICTURE, Line, Window, draw, picture

WINDOWS = [Window(title, [Line("said", f"<{title}> & others")]) for title in ("above", "left", "right")]


def test_the_picture_is_that_of_a_session_with_the_server_as_it_is() -> None:
    assert picture() == PICTURE.read_text(encoding="utf-8"), "run `make picture`, and look at what has changed"


def test_the_readme_shows_it() -> None:
    assert f"({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_needs_nothing_from_elsewhere() -> None:
    drawn = PICTURE.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert [each for each in ("http", "url(", "@import", "href", "script") if each in drawn] == []


@pytest.mark.parametrize(("length", "rows"), [(55, ["x" * 53, "xx"]), (53, ["x" * 53]), (0, [])])
def test_a_long_line_is_broken_where_a_terminal_breaks_it(length: int, rows: list[str]) -> None:
    drawn = ElementTree.fromstring(draw([*WINDOWS[:2], Window("right", [Line("typed", "x" * length)])]))
    texts = drawn.findall("{http://www.w3.org/2000/svg}text[@class='typed']")
    assert [text.text for text in texts] == rows


def test_what_was_said_is_text_for_those_who_cannot_see_it() -> None:
    [description] = ElementTree.fromstring(draw(WINDOWS)).findall("{http://www.w3.org/2000/svg}desc")
    assert description.text == "\n\n".join(f"{title}\n<{title}> & others" for title in ("above", "left", "right"))
