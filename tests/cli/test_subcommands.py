"""Subcommands that other packages bring: found without importing anything, and refused in one sentence."""

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from process_kit import PATIENCE, TRICHAT

from trichat._cli import parser

GREET = """
import argparse

def add(parser):
    parser.add_argument("name")
    parser.add_argument("--fail", action="store_true")
    return run

def run(arguments):
    print("hello", arguments.name)
    return not arguments.fail
"""


class Packages:
    """Packages that are installed in a folder, for `trichat` alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, package: str, module: str, **subcommands: str) -> None:
        """Install a package with a module of this source, and subcommands that name a function in it."""
        name = package.replace("-", "_")
        (self.folder / f"{name}.py").write_text(module)
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{word.replace('_', '-')} = {name}:{function}\n" for word, function in subcommands.items()]
        (info / "entry_points.txt").write_text("[trichat.subcommands]\n" + "".join(lines))

    def trichat(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PYTHONPATH": str(self.folder), "PATH": "", "COLUMNS": "200"}
        return subprocess.run(
            [TRICHAT, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path)


BOOM = "raise ImportError('this must not be imported')\n"


def test_a_subcommand_of_a_package_runs_with_its_own_arguments(packages: Packages) -> None:
    packages.install("acme-chat", GREET, greet="add")
    ended = packages.trichat("greet", "alice")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "hello alice\n", "")
    assert packages.trichat("greet", "alice", "--fail").returncode == 1
    assert "usage: trichat greet [-h] [--fail] name" in packages.trichat("greet", "--help").stdout
    assert "unrecognized arguments: bob" in packages.trichat("greet", "alice", "bob").stderr


def test_help_lists_it_with_its_package_and_imports_nothing(packages: Packages) -> None:
    packages.install("acme-chat", BOOM, greet="add", wave_back="add")
    ended = packages.trichat("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [" ".join(line.split()) for line in ended.stdout.splitlines() if "acme" in line] == [
        "greet from acme-chat",
        "wave-back from acme-chat",
    ]
    assert ",check-plugin,greet,wave-back}" in "".join(ended.stdout.split())


def test_a_word_that_is_none_is_refused_with_all_that_there_are(packages: Packages) -> None:
    packages.install("acme-chat", BOOM, greet="add")
    ended = packages.trichat("great")
    assert ended.returncode == 2
    assert "invalid choice: 'great'" in ended.stderr
    assert "greet" in ended.stderr.partition("invalid choice")[2]


class LookedUp(Exception):
    """Packages are being looked at."""


@pytest.mark.parametrize(
    ("words", "is_looked_up"), [(["serve"], False), (["help"], True), (["--help"], True), ([], True)]
)
def test_packages_are_looked_at_only_if_it_is_no_built_in_command(
    monkeypatch: pytest.MonkeyPatch, words: list[str], is_looked_up: bool
) -> None:
    def find(_: object) -> None:
        raise LookedUp

    monkeypatch.setattr(parser, "find_subcommands", find)
    with pytest.raises(LookedUp) if is_looked_up else nullcontext():
        parser._parser(words)


def test_the_built_in_command_keeps_its_name(packages: Packages) -> None:
    packages.install("acme-chat", BOOM, check="add")
    assert packages.trichat("check").stdout.startswith("the defaults: good")
    told = packages.trichat("--help").stdout
    assert "check from acme-chat: not used, because trichat itself has a command of this name" in told
    assert told.count("  check ") == 1


def test_a_name_of_two_packages_is_refused_when_it_is_used(packages: Packages) -> None:
    packages.install("acme-chat", GREET, greet="add", wave="add")
    packages.install("other-chat", GREET, greet="add")
    ended = packages.trichat("greet", "alice")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "trichat: the packages acme-chat and other-chat all have the subcommand 'greet'; uninstall all but one\n"
    )
    assert packages.trichat("wave", "bob").stdout == "hello bob\n"
    assert "from acme-chat and other-chat: not used, because only one of them may have this name" in (
        packages.trichat("--help").stdout
    )


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'\") at {file}:1"),
        ("", "module 'acme_chat' has no attribute 'add'\")"),
        ("def add(parser):\n    raise SystemExit(3)\n", "SystemExit(3) at {file}:2"),
        ("def add(parser):\n    parser.add_argument('--x', '-y', colour=1)\n", "'colour'\") at {file}:2"),
        ("def add(parser): ...\n", "its function returns None, not a function that runs it"),
    ],
    ids=["not importable", "no function", "exits", "raises", "nothing to run"],
)
def test_a_subcommand_that_cannot_be_used_is_one_sentence(packages: Packages, module: str, reason: str) -> None:
    packages.install("acme-chat", module, greet="add")
    ended = packages.trichat("greet")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("trichat: the subcommand 'greet' of acme-chat cannot be used: ")

    assert ended.stderr.endswith(reason.format(file=packages.folder / "acme_chat.py") + "\n")
    assert len(ended.stderr.splitlines()) == 1


def test_what_the_user_has_to_mend_is_told_in_the_words_of_the_package(packages: Packages) -> None:
    packages.install(
        "acme-chat",
        "from trichat import StartError\n\ndef add(parser):\n    return run\n\ndef run(arguments):\n"
        "    raise StartError('there is no backup here')\n",
        backup="add",
    )
    ended = packages.trichat("backup")
    assert (ended.returncode, ended.stderr) == (2, "trichat: there is no backup here\n")


def test_a_subcommand_may_name_its_arguments_as_it_likes(packages: Packages) -> None:
    packages.install(
        "acme-chat",
        "def add(parser):\n    parser.add_argument('command')\n    return run\n\n"
        "def run(arguments):\n    print(arguments.command)\n",
        obey="add",
    )
    assert packages.trichat("obey", "sit").stdout == "sit\n"
