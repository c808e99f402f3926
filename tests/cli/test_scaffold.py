"""`trichat new-plugin`: what it writes works at once, and what it cannot write it says in a sentence."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from environment_kit import make_environment
from page_kit import ROOT, bash
from process_kit import PATIENCE, is_root, trichat

from trichat import PluginError
from trichat._cli.scaffold import LONGEST_NAME, new_plugin

# The second one has every kind of character, the third one is a keyword, and the fourth one a module of Python.
NAMES = ["dice", "word_filter_2", "class", "random", "x" * LONGEST_NAME]


def ran(*command: str, folder: Path) -> str:
    """Run a program of the virtual environment, and return what it printed."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE * 3,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_it_says_what_it_has_written_and_how_to_go_on(tmp_path: Path) -> None:
    ended = trichat("new-plugin", "dice", cwd=tmp_path)
    assert ended.returncode == 0
    assert ended.stdout == "dice: created a plugin and its test; run `cd dice && pytest`, then read README.md there\n"
    written = {path.name for path in (tmp_path / "dice").iterdir()}
    assert written == {"README.md", "pyproject.toml", "test_trichat_dice.py", "trichat_dice.py"}


def test_its_tests_pass_at_once(tmp_path: Path) -> None:
    folder = new_plugin("dice", tmp_path)
    assert "2 passed" in bash("pytest -q", folder)


def test_its_tests_pass_in_a_checkout_whose_settings_for_pytest_are_others(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder = new_plugin("dice", tmp_path)
    assert "2 passed" in bash("pytest -q", folder)


def test_whatever_its_name_is_it_is_clean_and_typed(tmp_path: Path) -> None:
    for checker in ("ruff", "mypy"):
        pytest.importorskip(checker, reason=f"{checker} is not installed; the group `test` has it")
    folders = [new_plugin(name, tmp_path) for name in NAMES]
    for folder in folders:
        ran("ruff", "check", "--isolated", "--select=E,F,I,B,UP,W", "--line-length=120", ".", folder=folder)
        ran("ruff", "format", "--isolated", "--line-length=120", "--check", ".", folder=folder)
    plugins = [str(folder / f"trichat_{folder.name}.py") for folder in folders]
    ran("mypy", "--strict", "--cache-dir", "cache", *plugins, folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_its_name_is_it_is_announced_as_a_plugin(name: str, tmp_path: Path) -> None:
    project = tomllib.loads((new_plugin(name, tmp_path) / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"trichat": {name: f"trichat_{name}"}}


def test_the_plugin_is_about_ten_lines_besides_its_docstrings(tmp_path: Path) -> None:
    source = (new_plugin("dice", tmp_path) / "trichat_dice.py").read_text()
    lines = [line for line in source.splitlines() if line.strip() and '"""' not in line]
    assert len(lines) <= 10


def test_once_it_is_installed_trichat_shows_it_and_a_table_turns_it_on(tmp_path: Path) -> None:
    folder = new_plugin("dice", tmp_path)
    programs = make_environment(tmp_path / "environment")

    def typed(command: str) -> str:
        return bash(command, tmp_path, programs)

    def row() -> list[str]:
        return next(line.split() for line in typed("trichat plugins").splitlines() if line.startswith("dice"))

    assert typed(f"pip install -e {folder}") == ""
    assert row() == ["dice", "0.1.0", "trichat-dice", "off"]
    (tmp_path / "trichat.toml").write_text("[plugins.dice]\n")
    assert row() == ["dice", "0.1.0", "trichat-dice", "on", "on_message"]
    assert "answers anyone who says `!dice`" in typed("trichat plugins dice")


@pytest.mark.parametrize(
    "name",
    ["", "Dice", "2dice", "_dice", "dice_", "a__b", "word-filter", "../dice", "a/b", "ä", "x" * (LONGEST_NAME + 1)],
)
def test_what_cannot_be_a_name_is_refused_with_an_example(name: str, tmp_path: Path) -> None:
    ended = trichat("new-plugin", name, cwd=tmp_path)
    assert ended.returncode == 2
    [sentence] = ended.stderr.splitlines()
    assert sentence.startswith(f"trichat: {name!r} cannot be the name of a new plugin: ")
    assert "'word_filter'" in sentence
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_plugin_that_there_is_is_refused(tmp_path: Path) -> None:
    ended = trichat("new-plugin", "seen", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "trichat: there is a plugin 'seen' already (trichat); choose another name\n"
    assert list(tmp_path.iterdir()) == []


def test_a_name_whose_module_there_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="there is a module 'trichat_plugins' already"):
        new_plugin("plugins", tmp_path)


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dice").mkdir()
    ended = trichat("new-plugin", "dice", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "trichat: 'dice' exists already; choose another name or another folder\n"
    assert list((tmp_path / "dice").iterdir()) == []


@pytest.mark.skipif(is_root(), reason="nothing is forbidden to root")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ended = trichat("new-plugin", "dice", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "trichat: 'dice' cannot be written: Permission denied\n"


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be written: No such file or directory"):
        new_plugin("dice", tmp_path / "nowhere")


def test_help_tells_of_it(tmp_path: Path) -> None:
    assert "  new-plugin " in trichat("--help", cwd=tmp_path).stdout
    assert "NAME" in trichat("new-plugin", "--help", cwd=tmp_path).stdout
