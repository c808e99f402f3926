"""Compares `docs/testing.md` with the kit: writes its files, runs its commands, and compares the output."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_kit import Block, Page, assert_shown, bash
from process_kit import PATIENCE, Served
from test_documented import ROOT, text_of

from trichat import testing
from trichat.testing import INVARIANTS, Chat, ChatMachine, Person, Run
from trichat.testing import _pytest as plugin_of_pytest
from trichat.testing._conformance.runner import CHECKS
from trichat.testing._exploring.invariants import title
from trichat.testing._exploring.strategies import TARGETS

PAGE = Page(ROOT / "docs" / "testing.md", [".venv/bin/pip install", "trichat serve", ".venv/bin/python benchmarks/"])

# Members that are public only for the kit's own modules.
INTERNAL = {"Person.connected", "Person.arrived", "Run.probe"}


# 1. The snippets


@pytest.mark.parametrize("scene", [*PAGE.scenes])
def test_the_files_of_a_section_run_and_its_commands_print_what_it_shows(scene: str, tmp_path: Path) -> None:
    PAGE.run(scene, tmp_path)


def test_the_tutorial_shows_a_bug_that_the_ordinary_test_misses_and_the_other_finds() -> None:
    tutorial = next(iter(PAGE.scenes.values()))
    outputs = [output for block in tutorial for _, output in block.commands]
    verdicts = [re.findall(r"^(\d+ \w+) in", output, re.MULTILINE) for output in outputs]
    assert verdicts == [["1 passed"], ["1 failed"], ["2 passed"]]


@pytest.mark.parametrize("block", [block for block in PAGE.blocks if block.language == "python"], ids=str)
def test_each_snippet_of_python_is_a_file_that_a_command_or_another_file_uses_or_a_signature(block: Block) -> None:
    assert block.is_signature or PAGE.is_used(block)


@pytest.mark.parametrize("block", [block for block in PAGE.blocks if block.is_signature], ids=str)
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


@pytest.mark.parametrize("block", [block for block in PAGE.files if block.file.endswith(".txt")], ids=str)
def test_each_transcript_plays(block: Block, tmp_path: Path) -> None:
    PAGE.play(block, tmp_path)


def test_a_transcript_is_played_against_a_server_that_runs(tmp_path: Path) -> None:
    [(command, output)] = [each for each in PAGE.commands if "--connect" in each[0]]
    for block in PAGE.files:
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
    """Return the rows of all tables."""
    return "\n".join(line for line in PAGE.text.splitlines() if line.startswith("|"))


def public_names() -> list[str]:
    """Return the names that `trichat.testing` exports."""
    tree = ast.parse(inspect.getsource(testing))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return sorted({alias.asname for node in imports for alias in node.names if alias.asname})


def is_mentioned(name: str) -> bool:
    return re.search(rf"`[^`\n]*(?<![\w-]){name}\b[^`\n]*`", PAGE.text) is not None


@pytest.mark.parametrize("name", public_names())
def test_each_public_name_is_mentioned(name: str) -> None:
    assert getattr(testing, name)
    assert is_mentioned(name)


def members(*classes: type) -> Iterator[str]:
    """Yield the public methods, properties and attributes of the classes."""
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
    table = PAGE.text.partition("| invariant |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^-].*?) \|", table, re.MULTILINE) == [title(invariant) for invariant in INVARIANTS]


def test_each_check_is_in_the_table_in_its_order() -> None:
    table = PAGE.text.partition("| check |")[2].partition("\n\n")[0]
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
    [(_, output)] = [each for each in PAGE.commands if each[0].endswith("benchmarks/test_kit.py")]
    goals = re.findall(r'"(\d+ m?s)"', text_of(ROOT / "benchmarks" / "test_kit.py"))
    assert goals
    assert re.findall(r"goal: (\d+ m?s)", output) == goals
