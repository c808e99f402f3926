"""Where code is from: whose file it is in, and how a line of it is shown to people."""

import linecache
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import trio

Owner = Literal["python", "trio", "package", "trichat", "kit", "own"]
"""Python itself, Trio, another installed package, the server, its test kit, or anything else: somebody's own file."""

_PYTHON = os.path.dirname(os.__file__)
_TRICHAT = os.path.dirname(os.path.dirname(__file__))

# The first that fits counts, because the kit is in the server's folder.
_FOLDERS: Sequence[tuple[str, Owner]] = (
    (os.path.join(_TRICHAT, "testing"), "kit"),
    (_TRICHAT, "trichat"),
    (os.path.dirname(trio.__file__), "trio"),
)
_SITE_FOLDERS = {"site-packages", "dist-packages"}


@lru_cache(maxsize=1024)
def owner_of(file: str) -> Owner:
    """Return whose code is in the file of this name, as `code.co_filename` has it."""
    if file.startswith("<"):  # <frozen importlib>, or what a library has generated: nobody can open it
        return "python"
    for folder, owner in _FOLDERS:
        if file.startswith(folder + os.sep):
            return owner
    if not _SITE_FOLDERS.isdisjoint(file.split(os.sep)):
        return "package"
    return "python" if file.startswith(_PYTHON + os.sep) else "own"


def shown_line(file: str, line: int, function: str) -> str:
    """Return a line of code as people are shown it: `dice.py:12 in Dice.roll: await event.wait()`."""
    return f"{os.path.basename(file)}:{line} in {function}: {linecache.getline(file, line).strip()}"
