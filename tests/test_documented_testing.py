"""`docs/testing.md`, held against the kit: each of its files is written, each command run, each output compared."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
from process_kit import PATIENCE, Served
from test_documented import ROOT, on_one_line, snippets, text_of

from trichat import testing
from trichat.testing import INVARIANTS, Chat, ChatMachine, Person, Run, play_file
from trichat.testing import _pytest as plugin_of_pytest
from trichat.testing._conformance import CHECKS
from trichat.testing._everywhere import TARGETS, title

PAGE = ROOT / "docs" / "testing.md"
BIN = Path(sys.executable).parent

# Commands whose output is not compared here: they need the network, never end, or tell how fast the machine is.
NOT_RUN = ("pip install", "trichat serve", ".venv/bin/python benchmarks/")

# Members that have to be public for the kit's own modules alone.
INTERNAL = {"Person.connected", "Person.arrived", "Run.probe"}


class Block(NamedTuple):
    """A block of the page, between two fences."""

    line: int
    section: str
    """The heading of the second level that it is under."""
    language: str
    file: str
    """What the text before it calls it; empty if it is no file."""
    text: str

    def __str__(self) -> str:
        return f"line {self.line}"

    @property
    def is_signature(self) -> bool:
        return bool(re.fullmatch(r"def .*\) -> \w+: \.\.\.\n", self.text, re.DOTALL))

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command of a block of the console, with the output that it shows."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
        return list(zip(parts[1::2], parts[2::2], strict=True))


def blocks(page: Path) -> Iterator[Block]:
    section = before = ""
    lines = enumerate(text_of(page).splitlines(), 1)
    for number, line in lines:
        if line.startswith("```"):
            inside = iter(lambda: next(lines)[1], "```")
            named = re.search(r"`([\w.]+\.(?:py|txt|toml))`(?: again)?[^`]*:$", before)
            text = "".join(f"{each}\n" for each in inside)
            yield Block(number, section, line.removeprefix("```"), named[1] if named else "", text)
            before = ""
        elif line.startswith("## "):
            section = line.strip("# `")
        elif line.strip():
            before = f"{before} {line}"
        else:
            # What a name stands in is a paragraph, and the block comes behind it.
            before = before if before.endswith(":") else ""


BLOCKS = list(blocks(PAGE))
SCENES = {section: list(found) for section, found in groupby(BLOCKS, key=lambda block: block.section)}
FILES = [block for block in BLOCKS if block.file]
COMMANDS = [command for block in BLOCKS for command in block.commands]


# 1. The snippets


def bash(command: str, folder: Path) -> str:
    """Run a command as somebody would type it who has activated the environment, and return what it prints."""
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    surroundings |= {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        # A file that is written twice within a second would be taken for the old one.
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
    return f"{done.stdout}{'' if done.returncode in (0, 1) else f'exit status {done.returncode}'}"


def shown(output: str) -> re.Pattern[str]:
    """What matches an output like the one that is shown: `...` stands for whatever was left out.

    Counts and durations may differ, as they do with each change of the server.
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
    real = "".join(f"{on_one_line(line)}\n" for line in real.splitlines())
    assert shown(output).fullmatch(real), f"$ {command}\n{real}\n\nbut the page shows\n\n{output}"


@pytest.mark.parametrize(
    ("output", "real", "is_shown"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("a ... c\n", "a b c\n", True),
        ("1 failed in 0.5s\n", "1 failed in 12s\n", True),
        ("1 failed in 0.5s\n", "2 failed in 0.5s\n", False),
        ("8 cases, 3 of them broken\n", "9 cases, 4 of them broken\n", True),
        ("dice.py:8 in roll\n", "dice.py:9 in roll\n", False),
        ("client @ 9\n", "client @ 10\n", True),
    ],
)
def test_an_output_is_compared_but_for_what_is_left_out_and_for_counts(output: str, real: str, is_shown: bool) -> None:
    assert bool(shown(output).fullmatch(real)) == is_shown


def enter(scene: str, folder: Path) -> None:
    """Write the files that the scenes before this one have left, but for their tests: they were run there."""
    for section, found in SCENES.items():
        if section == scene:
            return
        for block in found:
            if block.file and not block.file.startswith("test_"):
                (folder / block.file).write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("scene", [*SCENES])
def test_the_files_of_a_section_run_and_its_commands_print_what_it_shows(scene: str, tmp_path: Path) -> None:
    enter(scene, tmp_path)
    waiting: dict[str, Path] = {}
    for block in SCENES[scene]:
        if block.file:
            path = tmp_path / block.file
            path.write_text(block.text, encoding="utf-8")
            if block.language == "python" and block.file.startswith("test_"):
                waiting[block.file] = path
        for command, output in block.commands:
            if not command.startswith(NOT_RUN) and "--connect" not in command:
                assert_shown(command, output, bash(command, tmp_path))
                for file in [file for file in waiting if file in command]:
                    del waiting[file]
    # Tests whose run is not shown pass.
    if waiting:
        real = bash(f"pytest -q {' '.join(waiting)}", tmp_path)
        assert re.search(r"^\d+ passed in [\d.]+s$", real, re.MULTILINE), real


def test_the_tutorial_shows_a_bug_that_the_ordinary_test_misses_and_the_other_finds() -> None:
    tutorial = next(iter(SCENES.values()))
    outputs = [output for block in tutorial for _, output in block.commands]
    verdicts = [re.findall(r"^(\d+ \w+) in", output, re.MULTILINE) for output in outputs]
    assert verdicts == [["1 passed"], ["1 failed"], ["2 passed"]]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_each_snippet_of_python_is_a_file_that_a_command_or_another_file_uses_or_a_signature(block: Block) -> None:
    module = block.file.removesuffix(".py")
    is_imported = any(re.search(rf"^from {module} import", other.text, re.MULTILINE) for other in FILES)
    is_typed = any(block.file in command for command, _ in COMMANDS)
    assert block.is_signature or (block.file and (block.file.startswith("test_") or is_imported or is_typed))


def test_no_snippet_of_python_is_overlooked() -> None:
    assert [block.text for block in BLOCKS if block.language == "python"] == [each.code for each in snippets(PAGE)]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_signature], ids=str)
def test_the_signatures_are_those_of_the_functions(block: Block) -> None:
    [shown] = ast.parse(block.text).body
    assert isinstance(shown, ast.FunctionDef)
    real = inspect.signature(getattr(testing, shown.name))
    arguments = [*shown.args.posonlyargs, *shown.args.args, *shown.args.kwonlyargs]
    names = [argument.arg for argument in [*arguments, *([shown.args.kwarg] if shown.args.kwarg else [])]]
    assert names == list(real.parameters)
    defaults = [ast.literal_eval(each) for each in shown.args.kw_defaults if isinstance(each, ast.Constant | ast.Tuple)]
    known = [
        each.default for each in real.parameters.values() if isinstance(each.default, (str, int, tuple, type(None)))
    ]
    assert [each for each in known if each not in (*defaults, TARGETS, 200)] == []


# 2. Transcripts


@pytest.mark.parametrize("block", [block for block in FILES if block.file.endswith(".txt")], ids=str)
def test_each_transcript_plays(block: Block, tmp_path: Path) -> None:
    enter(block.section, tmp_path)
    path = tmp_path / block.file
    path.write_text(block.text, encoding="utf-8")
    play_file(path)


def test_a_transcript_is_played_against_a_server_that_runs(tmp_path: Path) -> None:
    [(command, output)] = [each for each in COMMANDS if "--connect" in each[0]]
    for block in FILES:
        (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    folder = tmp_path / "server"
    folder.mkdir()
    served = Served(folder)
    try:
        elsewhere = command.replace("localhost:2048", f"127.0.0.1:{served.port}")
        assert elsewhere != command
        assert_shown(elsewhere, output, bash(elsewhere, tmp_path))
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0
    finally:
        served.close()


# 3. The names


def tables() -> str:
    """The rows of all tables."""
    return "\n".join(line for line in text_of(PAGE).splitlines() if line.startswith("|"))


def public_names() -> list[str]:
    """What `trichat.testing` passes on."""
    tree = ast.parse(inspect.getsource(testing))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return sorted({alias.asname for node in imports for alias in node.names if alias.asname})


def is_mentioned(name: str) -> bool:
    return re.search(rf"`[^`\n]*(?<![\w-]){name}\b[^`\n]*`", text_of(PAGE)) is not None


@pytest.mark.parametrize("name", public_names())
def test_each_public_name_is_mentioned(name: str) -> None:
    assert getattr(testing, name)
    assert is_mentioned(name)


def members(*classes: type) -> Iterator[str]:
    """The public methods, properties and attributes of the classes."""
    for each in classes:
        names = {name for name in vars(each) if not name.startswith("_")}
        names |= set(re.findall(r"self\.([a-z]\w*)\b[^=\n]* = ", inspect.getsource(each)))
        yield from sorted(f"{each.__name__}.{name}" for name in names)


@pytest.mark.parametrize("member", [each for each in members(Person, Chat, Run) if each not in INTERNAL])
def test_each_member_of_what_a_test_is_given_is_in_a_table(member: str) -> None:
    owner, _, name = member.partition(".")
    holder = {"Person": "alice", "Chat": "chat", "Run": "run"}[owner]
    assert re.search(rf"`(?:await )?{holder}\.{name}\b", tables())


def test_what_a_machine_can_be_told_is_mentioned() -> None:
    assert [name for name in inspect.get_annotations(ChatMachine) if not is_mentioned(name)] == []


@pytest.mark.parametrize("invariant", INVARIANTS, ids=title)
def test_each_invariant_is_in_a_table(invariant: Callable[[Run], None]) -> None:
    assert f"\n| {title(invariant)} |" in tables()


def test_the_table_has_no_invariant_that_is_gone() -> None:
    table = text_of(PAGE).partition("| invariant |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^-].*?) \|", table, re.MULTILINE) == [title(invariant) for invariant in INVARIANTS]


def test_each_check_is_in_the_table_in_its_order() -> None:
    table = text_of(PAGE).partition("| check |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^-].*?) \|", table, re.MULTILINE) == [check.name for check in CHECKS]


def test_each_target_is_in_a_table() -> None:
    assert [target for target in TARGETS if f'| `"{target}"` |' not in tables()] == []


def fixtures() -> list[str]:
    tree = ast.parse(inspect.getsource(plugin_of_pytest))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [each.name for each in functions if any("fixture" in ast.unparse(mark) for mark in each.decorator_list)]


def test_each_fixture_is_in_a_table() -> None:
    assert fixtures()
    assert [name for name in fixtures() if f"| `{name}` |" not in tables()] == []


@pytest.mark.parametrize("command", ["check-plugin", "transcript"])
def test_each_option_of_the_commands_is_mentioned(command: str) -> None:
    [help_text] = re.findall(rf"trichat {command}.*", bash(f"trichat {command} --help | tr '\\n' ' '", ROOT))
    options = set(re.findall(r"--[a-z][\w-]*", help_text)) - {"--help"}
    assert options
    assert [option for option in options if not is_mentioned(option)] == []


def test_the_goals_are_those_of_the_benchmark() -> None:
    [(_, output)] = [each for each in COMMANDS if each[0].endswith("benchmarks/test_kit.py")]
    goals = re.findall(r'"(\d+ m?s)"', text_of(ROOT / "benchmarks" / "test_kit.py"))
    assert goals
    assert re.findall(r"goal: (\d+ m?s)", output) == goals
