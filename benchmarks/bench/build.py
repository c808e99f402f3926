"""Builds the C programs (the load generator and the floor), and compiles trichat to bytecode."""

import compileall
import shutil
import subprocess
from pathlib import Path

import trichat_plugins

import trichat

BENCHMARKS = Path(__file__).parents[1]

# The folder for everything that a run writes. It is on the disk, so that a log's fsync is real.
BUILD = BENCHMARKS / "build"

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")

PROGRAMS = {
    "load": ("load.c", "load_options.c", "load_clients.c", "load_wire.c", "load_tally.c"),
    "floor": ("floor.c",),
}
HEADERS = ("load.h", "buffer.h")


class NoCompiler(Exception):
    """No C compiler is installed."""


def compiler() -> str | None:
    """Return the path of a C compiler, or `None`."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(program: str, folder: Path = BUILD) -> Path:
    """Compile `program` if it is missing or older than its source, and return its path. Raises `NoCompiler`."""
    built = folder / program
    sources = [BENCHMARKS / name for name in PROGRAMS[program]]
    newest = max(path.stat().st_mtime for path in [*sources, *(BENCHMARKS / name for name in HEADERS)])
    if built.exists() and built.stat().st_mtime >= newest:
        return built
    cc = compiler()
    if cc is None:
        raise NoCompiler("there is no C compiler; on Debian, install one with 'apt install gcc libc6-dev'")
    folder.mkdir(exist_ok=True)
    subprocess.run([cc, *FLAGS, "-o", built, *sources], check=True)
    return built


def compile_trichat() -> None:
    """Compile trichat to bytecode, as pip does. Otherwise its start-up time would include the compilation."""
    for package in (trichat, trichat_plugins):
        compileall.compile_dir(package.__path__[0], quiet=1)
