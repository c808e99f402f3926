"""Runs `docs/writing-plugins.md`: writes its files, runs its commands, and compares the output."""

import re
from pathlib import Path

import pytest
from environment_kit import make_environment
from page_kit import ROOT, Block, Page, assert_talk
from test_documented import HOOKS, text_of

PAGE = Page(ROOT / "docs" / "writing-plugins.md", ["trichat serve", "nc "])


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("environment"))


# 1. The snippets


@pytest.mark.parametrize("scene", [*PAGE.scenes])
def test_the_files_of_a_section_run_and_its_commands_print_what_it_shows(
    scene: str, tmp_path: Path, programs: Path
) -> None:
    PAGE.run(scene, tmp_path, programs)


@pytest.mark.parametrize("block", [block for block in PAGE.files if block.file.endswith(".txt")], ids=str)
def test_each_transcript_plays(block: Block, tmp_path: Path) -> None:
    PAGE.play(block, tmp_path)


def test_anyone_who_types_the_first_plugin_and_starts_it_sees_what_the_page_shows(tmp_path: Path) -> None:
    assert_talk(PAGE, "The first plugin", tmp_path)


@pytest.mark.parametrize("block", [block for block in PAGE.blocks if block.language == "python"], ids=str)
def test_each_snippet_of_python_is_a_file_that_a_command_a_transcript_or_another_file_uses(block: Block) -> None:
    assert PAGE.is_used(block)


def test_the_first_plugin_has_about_ten_lines() -> None:
    [first] = [block for block in PAGE.scenes["The first plugin"] if block.language == "python"]
    assert len([line for line in first.text.splitlines() if line]) <= 10


# 2. The tables


def rows() -> list[str]:
    """Return the rows of the table "I want to"."""
    table = PAGE.text.partition("| I want to … |")[2].partition("\n\n")[0]
    return [line for line in table.splitlines()[2:] if line.startswith("| ")]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_table_leads_to_each_hook(hook: str) -> None:
    assert any(f"[`{hook}`](hooks.md#{hook})" in row for row in rows())


def test_every_example_is_in_the_table_of_examples() -> None:
    files = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert sorted(re.findall(r"^\| \[(\w+\.py)\]\(\.\./examples/\1\)", PAGE.text, re.MULTILINE)) == files


@pytest.mark.parametrize("page", ["README.md", "docs/hooks.md", "docs/configuration.md"])
def test_the_page_is_found_from_others(page: str) -> None:
    assert "writing-plugins.md)" in text_of(ROOT / page)
