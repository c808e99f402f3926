"""Runs what `docs/configuration.md` says about reading the chat log, on the log that it shows."""

import subprocess
from pathlib import Path

import pytest
from page_kit import ROOT

from trichat import parse_log_line

SECTION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").split("## The chat log", 1)[1]
LOG = SECTION.split("```text\n", 1)[1].split("```", 1)[0]
RECIPES = [line[2:] for line in SECTION.split("```console\n", 1)[1].split("```", 1)[0].splitlines()]
LINES = LOG.splitlines()
COUNTS = ["      2 alice", "      2 bob"]


def test_each_line_of_the_log_that_is_shown_is_a_message() -> None:
    assert [parse_log_line(line.encode()) for line in LINES if parse_log_line(line.encode()) is None] == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(RECIPES[1], LINES, id="one hour"),
        pytest.param(RECIPES[2], [line for line in LINES if "alice: " in line], id="what alice said and did"),
        pytest.param(RECIPES[3], [LINES[2], LINES[3], LINES[4], LINES[5], LINES[6]], id="everything but events"),
        pytest.param(RECIPES[4], LINES[2:4], id="between two times"),
        pytest.param(RECIPES[5], COUNTS, id="how many messages each person sent"),
    ],
)
def test_the_recipes_for_the_log_show_what_the_page_says(command: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "chat_log.txt").write_text(LOG, encoding="utf-8")

    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == expected


def test_all_recipes_are_tried_but_the_one_that_follows_the_log() -> None:
    assert RECIPES[0] == "tail -f chat_log.txt"
    assert len(RECIPES) == 6
