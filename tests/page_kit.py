"""Runs pages of the documentation: writes their files, runs their commands, and compares the output."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from process_kit import served

from trichat.testing import play_file

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


class Block(NamedTuple):
    """A block of code in a page, between two fences."""

    line: int
    section: str
    """The second-level heading above it."""
    heading: str
    """The heading of any level above it."""
    language: str
    file: str
    """The name that the text before it gives it; empty if it is not a file."""
    text: str

    def __str__(self) -> str:
        return f"line {self.line}"

    @property
    def is_signature(self) -> bool:
        return bool(re.fullmatch(r"def .*\) -> \w+: \.\.\.\n", self.text, re.DOTALL))

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a console block, each with the output that the page shows."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
        return list(zip(parts[1::2], parts[2::2], strict=True))


class Page:
    """A page, block by block. The blocks under one second-level heading are a scene.

    Commands that begin with one of `not_run` are not run: they need the network, never end, or print the speed of the
    machine. Programs are looked up in `bin` first, and then in the folder of this Python.
    """

    def __init__(self, path: Path, not_run: Sequence[str] = ()) -> None:
        self.path = path
        self._not_run = tuple(not_run)
        self.text = path.read_text(encoding="utf-8") if path.exists() else ""
        self.blocks = list(blocks_of(self.text))
        self.scenes = {section: list(found) for section, found in groupby(self.blocks, key=lambda block: block.section)}
        self.files = [block for block in self.blocks if block.file]
        self.commands = [command for block in self.blocks for command in block.commands]

    def enter(self, scene: str, folder: Path) -> None:
        """Write the files of the scenes before this one, except their tests, which ran there."""
        for section, found in self.scenes.items():
            if section == scene:
                return
            for block in found:
                if block.file and not block.file.startswith("test_"):
                    (folder / block.file).write_text(block.text, encoding="utf-8")

    def run(self, scene: str, folder: Path, bin: Path = BIN) -> None:  # noqa: A002 - the usual name of such a folder
        """Write the files of a scene, run its commands, and compare the output. Tests without a command must pass."""
        self.enter(scene, folder)
        waiting: dict[str, Path] = {}
        for block in self.scenes[scene]:
            if block.file:
                path = folder / block.file
                path.write_text(block.text, encoding="utf-8")
                if block.language == "python" and block.file.startswith("test_"):
                    waiting[block.file] = path
            for command, output in block.commands:
                if not command.startswith(self._not_run) and "--connect" not in command:
                    assert_shown(command, output, bash(command, folder, bin))
                    for file in [file for file in waiting if file in command]:
                        del waiting[file]
        if waiting:
            real = bash(f"pytest -q {' '.join(waiting)}", folder, bin)
            assert re.search(r"^\d+ passed in [\d.]+s$", real, re.MULTILINE), real

    def play(self, block: Block, folder: Path) -> None:
        """Play the transcript in a block."""
        self.enter(block.section, folder)
        for file in [*self.scenes[block.section], block]:
            if file.file and file.line <= block.line:
                (folder / file.file).write_text(file.text, encoding="utf-8")
        play_file(folder / block.file)

    def is_used(self, block: Block) -> bool:
        """Whether the page uses a block of Python: a command, a transcript or another file names it."""
        module = block.file.removesuffix(".py")
        is_imported = any(re.search(rf"^from {module} import", other.text, re.MULTILINE) for other in self.files)
        is_played = any(f'"{block.file}"' in other.text for other in self.files if other is not block)
        is_typed = any(block.file in command for command, _ in self.commands)
        return bool(block.file) and (block.file.startswith("test_") or is_imported or is_played or is_typed)


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of code in the text of a page."""
    section = heading = before = ""
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if line.startswith("```"):
            inside = iter(lambda: next(lines)[1], "```")
            named = re.search(r"`([\w.]+\.(?:py|txt|toml))`(?: again)?[^`]*:$", before)
            content = "".join(f"{each}\n" for each in inside)
            yield Block(number, section, heading, line.removeprefix("```"), named[1] if named else "", content)
            before = ""
        elif line.startswith("#"):
            heading = line.strip("# `")
            section = heading if line.startswith("## ") else section
        elif line.strip():
            before = f"{before} {line}"
        else:
            # The name of a file is in the paragraph right before its block, which ends with a colon.
            before = before if before.endswith(":") else ""


def bash(command: str, folder: Path, bin: Path = BIN) -> str:  # noqa: A002
    """Run a command as in a shell with the environment activated, and return the output."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    surroundings |= {
        "PATH": os.pathsep.join([str(bin), str(BIN), os.environ["PATH"]]),
        "COLUMNS": "80",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        # Python would not notice a file that is rewritten within a second.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return f"{done.stdout}{'' if done.returncode in (0, 1, 2) else f'exit status {done.returncode}'}"


def shown(output: str) -> re.Pattern[str]:
    """Return a pattern for outputs like the one on the page, where `...` stands for anything.

    Counts and durations may differ, because they change whenever the server does.
    """
    pattern = ""
    for line in output.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        escaped = ".*".join(re.escape(part) for part in on_one_line(line).split("..."))
        escaped = re.sub(
            r"\d+(?:\\\.\d+)?(?=s\b|\\ (?:s|ms|cases|more\\ cases|of\\ them|checkpoints|lines\\ said|heard)\b)",
            r"[\\d.]+",
            escaped,
        )
        escaped = re.sub(r"(?<=checkpoint\\ )\d+|(?<=@\\ )\d+|(?<=\\#)\d+", r"\\d+", escaped)
        pattern += escaped + r"\n"
    return re.compile(pattern)


def assert_shown(command: str, output: str, real: str) -> None:
    """Compare the output of a command with the one on the page."""
    real = "".join(f"{on_one_line(line)}\n" for line in real.splitlines())
    assert shown(output).fullmatch(real), f"$ {command}\n{real}\n\nbut the page shows\n\n{output}"


def assert_talk(page: Page, scene: str, folder: Path) -> None:
    """Start the server of a scene, type the lines of alice, and read the lines that the page shows."""
    [(serve, banner), (_, dialogue)] = [command for block in page.scenes[scene] for command in block.commands]
    for block in page.scenes[scene]:
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    with served(folder, *shlex.split(serve)[2:], "--port", "0") as server:
        assert server.banner[1:3] == banner.splitlines()[1:3]
        alice = server.connect()
        for line in dialogue.splitlines():
            if line.startswith(("* ", "alice: ")):
                alice.reads(line)
            else:
                alice.say(line)


def on_one_line(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return " ".join(text.split())
