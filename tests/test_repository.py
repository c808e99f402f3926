"""Checks that the Makefile, the pre-commit hooks, the workflows and pyproject.toml agree with each other."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process_kit import PATIENCE

pytest.importorskip("yaml", reason="yaml reads the workflows; the group `test` has pyyaml")

import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Each checker is a Makefile target of its own, so that a hook can run it. The group `lint` has its dependencies.
LINT = next(iter(re.findall(r"^LINT := (.+)$", MAKEFILE, re.MULTILINE))).split()
TARGETS = {*re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)}

needs_make = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("git")), reason="make and git are not both installed"
)


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job.get("steps", [])


def pythons() -> list[str]:
    return re.findall(r"Programming Language :: Python :: (\d+\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))


# 1. What is checked


def test_every_python_that_the_package_names_is_checked() -> None:
    assert jobs(ROOT / ".github/workflows/ci.yml")["check"]["strategy"]["matrix"]["python"] == pythons()
    assert PROJECT["project"]["requires-python"] == f">={pythons()[0]}"


def test_there_is_a_hook_for_each_part_of_make_lint() -> None:
    [local] = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == [f"make {target}" for target in LINT]
    assert set(LINT) <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_only_targets_that_there_are(path: Path) -> None:
    asked = {target for step in steps(path) for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert asked
    assert asked <= TARGETS


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "AGENTS.md"])
def test_the_pages_for_contributors_name_only_targets_that_there_are(page: str) -> None:
    named = set(re.findall(r"(?:`|\$ )make ([a-z][a-z-]*)", (ROOT / page).read_text()))
    assert "check" in named
    assert named <= TARGETS


def test_the_makefile_installs_groups_that_there_are() -> None:
    assert set(re.findall(r"--group (\S+)", MAKEFILE)) == {*PROJECT["dependency-groups"]} - {"lint"}


# 2. What a workflow may do


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_unless_a_job_says_more(path: Path) -> None:
    assert read_yaml(path)["permissions"] == {"contents": "read"}


def test_only_publishing_may_prove_to_pypi_who_it_is() -> None:
    asked = {
        (path.stem, name): job["permissions"]
        for path in WORKFLOWS
        for name, job in jobs(path).items()
        if "permissions" in job
    }
    assert asked == {("release", "publish"): {"id-token": "write"}}


def test_what_is_published_was_checked_and_built_by_jobs_that_may_not_publish() -> None:
    release = jobs(ROOT / ".github/workflows/release.yml")
    assert release["check"]["uses"] == "./.github/workflows/ci.yml"
    assert (release["build"]["needs"], release["publish"]["needs"]) == ("check", "build")
    assert not any("run" in step for step in release["publish"]["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_used_in_a_version_that_is_named(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert [action for action in used if not re.search(r"@((release/)?v\d+|[0-9a-f]{40})$", action)] == []


def test_the_update_bot_looks_after_packages_and_actions() -> None:
    updates = read_yaml(ROOT / ".github/dependabot.yml")["updates"]
    assert [update["package-ecosystem"] for update in updates] == ["pip", "github-actions"]


# 3. Scripts of the Makefile


def commit(folder: Path, subject: str, date: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--allow-empty"]
    surroundings = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run([*command, "-m", subject], cwd=folder, env={**os.environ, **surroundings}, check=True)


def lint_subjects(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = ["make", "--no-print-directory", "--file", str(ROOT / "Makefile"), "lint-subjects"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@needs_make
def test_a_subject_has_at_most_72_characters(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    commit(tmp_path, "x" * 100, "2026-11-30T17:00:00Z")
    commit(tmp_path, "y" * 72, "2026-12-01T12:00:00Z")
    assert lint_subjects(tmp_path).returncode == 0
    commit(tmp_path, "z" * 73, "2026-12-01T13:00:00Z")
    complaint = lint_subjects(tmp_path)
    assert complaint.returncode != 0
    assert complaint.stdout.endswith(f" {'z' * 73}\n")
    assert "at most 72 characters" in complaint.stderr


@needs_make
def test_where_there_is_no_history_there_are_no_subjects(tmp_path: Path) -> None:
    assert lint_subjects(tmp_path).returncode == 0


class Machine:
    """A machine with some Pythons, and a `make` that fails for some of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(ROOT / ".ci", folder / "checkout" / ".ci")
        shutil.copy(ROOT / "pyproject.toml", folder / "checkout")
        for program in ("bash", "sed", "dirname"):
            (folder / "bin").mkdir(exist_ok=True)
            (folder / "bin" / program).symlink_to(str(shutil.which(program)))

    def has(self, program: str, script: str = "exit 0") -> str:
        """Install a program, and return its path."""
        path = self._folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def tests_all(self) -> tuple[int, list[str]]:
        """Run `make test-all`, and return its status and what it printed."""
        places = {"PATH": str(self._folder / "bin"), "PYENV_ROOT": str(self._folder / "pyenv")}
        command = [str(self._folder / "checkout" / ".ci" / "test-all")]
        ended = subprocess.run(command, env=places, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert ended.stderr == ""
        return ended.returncode, ended.stdout.splitlines()


def test_the_suite_runs_on_each_python_that_there_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has("bin/make", 'echo "$@"')
    machine.has("bin/python3.11")
    machine.has("bin/python3.12", "exit 127")  # pyenv's stand-in for a version that is not selected
    of_pyenv = machine.has("pyenv/versions/3.12.1/bin/python")
    assert machine.tests_all() == (
        0,
        [
            "test VENV=.venvs/3.11 PYTHON=python3.11",
            f"test VENV=.venvs/3.12 PYTHON={of_pyenv}",
            "passed: 3.11 3.12; failed: none; not installed: 3.13",
        ],
    )


def test_the_suite_runs_on_the_others_where_one_fails(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has("bin/make", 'case "$3" in *3.11) exit 2;; esac')
    for version in pythons():
        machine.has(f"bin/python{version}")
    assert machine.tests_all() == (1, ["passed: 3.12 3.13; failed: 3.11; not installed: none"])


def test_without_any_python_the_suite_has_not_passed(tmp_path: Path) -> None:
    assert Machine(tmp_path).tests_all() == (1, ["passed: none; failed: none; not installed: 3.11 3.12 3.13"])
