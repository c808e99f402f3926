"""Runs the examples of `README.md`, and compares its figures with the benchmark's results."""

import re
from pathlib import Path

import pytest
from page_kit import ROOT, Page, assert_talk

PAGE = Page(ROOT / "README.md", ["git clone", "make ", "python3 -m venv", "env/bin/", "trichat serve", "nc "])


def test_the_first_plugin_does_what_the_page_shows(tmp_path: Path) -> None:
    assert_talk(PAGE, "A first plugin", tmp_path)


def test_the_first_tests_pass(tmp_path: Path) -> None:
    PAGE.run("A first test", tmp_path)


@pytest.mark.parametrize(
    ("line", "broken"), [('f"hello, {client.name}"', '"hello"'), ('Refuse("please do not shout")', "None")]
)
def test_the_first_tests_fail_without_what_they_test(tmp_path: Path, line: str, broken: str) -> None:
    assert PAGE.text.count(line) == 1
    page = tmp_path / "README.md"
    page.write_text(PAGE.text.replace(line, broken), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"1 failed, 2 passed"):
        Page(page).run("A first test", tmp_path)


RESULTS = (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")


def measured(row: str, server: str) -> list[str]:
    """Return the cells of a server in a table of the results: figures, each with its ratios."""
    table = RESULTS.partition(f"### {row}: ")[2].partition("\n### ")[0]
    [cells] = re.findall(rf"^\| {server} \|(.*)\|$", table, re.MULTILINE)
    return [cell.strip() for cell in cells.split("|")]


def test_the_figures_compared_with_irc_servers_are_those_of_the_results() -> None:
    table = PAGE.text.partition("## Compared with IRC servers")[2].partition("\n## ")[0]
    busy = [measured(f"fan-out-{size}", "trichat")[2] for size in (500, 2000, 5000)]
    one_by_one = measured("one-by-one", "trichat")
    figures = [
        *busy,
        measured("latency", "trichat")[2],
        measured("join-2000", "trichat")[2],
        *(one_by_one[2], one_by_one[5]),
        *(measured("start", server)[0] for server in ("trichat", "inspircd")),
    ]
    shown = [float(figure) for figure in re.findall(r"\b\d\.\d+", table)]
    assert shown == pytest.approx([float(figure) for figure in figures], abs=0.0051)  # two digits, rounded
