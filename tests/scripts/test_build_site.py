"""What the site is gathered from, and what is found to be wrong with it."""

import tomllib
from pathlib import Path

import pytest
from build_site import PAGES, SITE, faults, gather
from page_kit import ROOT


def site(folder: Path, body: str) -> Path:
    """A site of two pages, the first with this body."""
    (folder / "other").mkdir()
    (folder / "index.html").write_text(f'<h2 id="here">Here</h2>{body}')
    (folder / "other" / "index.html").write_text('<h2 id="there">There</h2><p id="a b">')
    (folder / "file.txt").write_text("")
    return folder


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other/">',
        '<a href="other/#there">',
        '<a href="other/index.html#a%20b">',
        '<a href="#here">',
        '<a href="#">',
        '<a href="file.txt">',
        '<a href="/other/">',
        '<a href="https://example.org/">',
        '<link rel="canonical" href="https://example.org/">',
        '<img src="file.txt">',
    ],
)
def test_what_leads_somewhere_is_no_fault(tmp_path: Path, body: str) -> None:
    assert list(faults(site(tmp_path, body))) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="others/">', "index.html: others/ does not exist"),
        ('<a href="file.py">', "index.html: file.py does not exist"),
        ('<a href="#there">', "index.html: #there: the page has no such heading"),
        ('<a href="other/#here">', "index.html: other/#here: the page has no such heading"),
        ('<img src="picture.svg">', "index.html: picture.svg does not exist"),
        (
            '<script src="https://example.org/x.js">',
            "index.html: https://example.org/x.js is fetched from another host",
        ),
        ('<link rel="stylesheet" href="//example.org">', "index.html: //example.org is fetched from another host"),
    ],
)
def test_what_leads_nowhere_or_is_fetched_from_elsewhere_is_a_fault(tmp_path: Path, body: str, fault: str) -> None:
    assert list(faults(site(tmp_path, body))) == [fault]


def test_the_pages_are_gathered_at_their_paths_and_those_of_before_are_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("")
    gather(ROOT, tmp_path)
    assert not (tmp_path / "gone.md").exists()
    for page in ("README.md", "docs/hooks.md", "docs/images/session.svg", "examples/dice.py"):
        assert (tmp_path / page).read_bytes() == (ROOT / page).read_bytes()


def test_every_page_that_is_gathered_is_in_the_navigation(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    assert (ROOT / project["docs_dir"], ROOT / project["site_dir"]) == (PAGES, SITE)
    gather(ROOT, tmp_path)
    pages = {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.md")}
    navigation = [
        page
        for section in project["nav"]
        for entries in section.values()
        for entry in entries
        for page in entry.values()
    ]
    assert sorted(navigation) == sorted(pages)
