"""A virtual environment for tests that install something, without the network."""

import sys
import sysconfig
import venv
from pathlib import Path

import pytest


def make_environment(folder: Path) -> Path:
    """Make an environment with everything that this one has, and return the folder of its programs.

    Its `pip` downloads nothing, so this environment must have the build backend. Without it, the test is skipped.
    """
    pytest.importorskip("hatchling", reason="pip needs hatchling here; the group `test` has it")
    venv.create(folder, with_pip=False, symlinks=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", variables))
    (site / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    programs = folder / "bin"
    quietly = "--quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index"
    for program, options in {"pip": quietly, "trichat": "", "pytest": ""}.items():
        path = programs / program
        path.write_text(f'#!/bin/sh\nexec "{programs / Path(sys.executable).name}" -m {program} "$@" {options}\n')
        path.chmod(0o755)
    return programs
