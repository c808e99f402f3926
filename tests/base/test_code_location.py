"""Whose code a file has, and how a line of it is shown."""

import contextlib
import importlib
from pathlib import Path

import pluggy
import pytest
import trio

import trichat.testing
from trichat._base.code_location import Owner, owner_of, shown_line


@pytest.mark.parametrize(
    ("file", "owner"),
    [
        (contextlib.__file__, "python"),
        (importlib.__file__, "python"),
        ("<frozen importlib._bootstrap>", "python"),
        ("<attrs generated init of a class>", "python"),
        (trio.__file__, "trio"),
        (pluggy.__file__, "package"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "package"),
        (trichat.__file__, "trichat"),
        (trichat.hookspecs.__file__, "trichat"),
        (trichat.testing.__file__, "kit"),
        (__file__, "own"),
        ("/srv/chat/plugins/dice.py", "own"),
        ("dice.py", "own"),
        ("/srv/trichat/trichat_dice/__init__.py", "own"),
    ],
)
def test_each_file_has_an_owner(file: str, owner: Owner) -> None:
    assert owner_of(file) == owner


def test_a_folder_beside_trichat_with_a_longer_name_is_not_trichat() -> None:
    beside = f"{Path(trichat.__file__).parent}_dice/__init__.py"
    assert owner_of(beside) in ("own", "package")  # depends on where trichat is installed


def test_a_line_is_shown_with_its_file_its_function_and_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "dice.py"
    path.write_text("def roll():\n    return 4\n")
    assert shown_line(str(path), 2, "roll") == "dice.py:2 in roll: return 4"
