"""The tester of tests: on a small project, it tells a change that a test notices from one that none does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mutants import Copy, chosen, main, relevant_tests
from mutations import Mutant
from page_kit import ROOT

DOOR = """\
def greet(guests: list[str]) -> str:
    print("somebody came")
    return guests[-1]
"""

TEST_DOOR = """\
from tiny._rooms.door import greet

def test_the_last_one_is_greeted() -> None:
    assert greet(["alice", "bob"]) == "bob"
"""

FILES = {"tiny/_rooms/door.py": DOOR, "tests/rooms/test_door.py": TEST_DOOR, "pytest.ini": "[pytest]"}

LIVED = ["tiny/_rooms/door.py:2", '  - print("somebody came")', "  + pass"]

# Starts a process that keeps a pipe open, and never returns.
HANGS = """\
import subprocess
def greet(guests: list[str]) -> str:
    with open({pipe!r}, "w") as pipe:
        subprocess.Popen(["sh", "-c", "echo started; exec sleep 60"], stdout=pipe)
    while True: pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_no_test_notices_is_listed_and_the_checkout_stays_as_it_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(project)
    assert main(["tiny"], project) == 0
    assert capsys.readouterr().out.splitlines() == [*LIVED, "3 of 3 mutants tested, 1 lived"]
    assert files(project) == before


def test_a_run_that_hangs_has_noticed_the_mutant_and_leaves_no_process(project: Path, tmp_path: Path) -> None:
    (path,) = [path for path in FILES if path.startswith("tiny")]
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    copy = Copy(project, tmp_path)
    begun = time.monotonic()
    assert copy.notices(Mutant(path, 1, "", "", HANGS.format(pipe=pipe).encode()), relevant_tests(path, project), 5)
    with open(reader) as output:
        os.set_blocking(reader, True)
        assert output.read() == "started\n"  # up to the end of the last process that can write
    assert time.monotonic() - begun < 60
    assert copy.seconds(relevant_tests(path, project)) is not None, "the copy is as it was"


def test_ctrl_c_ends_it_with_what_it_knows_and_leaves_nothing_behind(project: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", project / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    before, scratch = files(project), tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-B", "scripts/mutants.py", "tiny"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in LIVED]
        running.send_signal(signal.SIGINT)
        lines += running.stdout.readlines()
    assert running.returncode == 130
    *lived, summary = "".join(lines).splitlines()
    assert lived == LIVED
    assert summary == "1 of 3 mutants tested, 1 lived"
    assert files(project) == before
    assert list(scratch.iterdir()) == []


def test_tests_that_fail_without_a_change_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests/rooms/test_door.py").write_text("def test_it(): assert False")
    assert main(["tiny/_rooms/door.py"], project) == 1
    assert "the tests of tiny/_rooms/door.py fail as it is: tests/rooms/test_door.py" in capsys.readouterr().err


def test_what_is_not_there_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tiny/_rooms/dor.py"], project)
    assert "there is no tiny/_rooms/dor.py" in capsys.readouterr().err


def test_the_seed_chooses(project: Path) -> None:
    of_all = chosen(["tiny"], project, None, 0)
    samples = [chosen(["tiny"], project, 2, seed) for seed in (0, 0, *range(1, 20))]
    assert samples[0] == samples[1]
    assert {mutant for sample in samples for mutant in sample} == set(of_all)
    assert {len(sample) for sample in samples} == {2}


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("trichat/_chat/hub.py", ["tests/chat/test_hub.py", "tests/chat"]),
        ("trichat/_server.py", ["tests/test_server.py"]),
        ("plugins/trichat_plugins/bye.py", ["tests/trichat_plugins/test_bye.py", "tests/trichat_plugins"]),
    ],
)
def test_the_tests_of_a_file_come_first(path: str, tests: list[str]) -> None:
    assert relevant_tests(path, ROOT)[: len(tests)] == tests
