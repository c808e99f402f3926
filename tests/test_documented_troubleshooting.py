"""Checks that the code has each message that `docs/troubleshooting.md` quotes."""

import ast
import errno
import os
import re
from functools import cache

import pytest
from page_kit import ROOT

TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")

# Quotes that are not from trichat: from the shell, the kernel, a terminal.
OF_OTHERS = {"nc", "bye", "/", "^[[A", "�", "trichat reload", "Connection refused"}


@cache
def said() -> str:
    """Return all strings in the code and the system's error messages. Each placeholder becomes a line break."""
    words = [os.strerror(number) for number in errno.errorcode]
    sources = [
        path.read_text(encoding="utf-8") for folder in ("trichat", "plugins") for path in (ROOT / folder).rglob("*.py")
    ]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    words += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(re.sub(r"%[-\d.]*[srdg]", "\n", text) for text in words)


def symptoms() -> list[str]:
    cells = re.findall(r"^\| (.+?) \| ", TEXT, re.MULTILINE)
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell) if quoted not in OF_OTHERS]


@pytest.mark.parametrize("symptom", symptoms())
def test_what_one_sees_is_what_the_code_says(symptom: str) -> None:
    # Split at each place where the code inserts a name or joins two sentences.
    pieces = re.split(r"\.\.\.|'\w+'|: |; | \(", symptom)
    words = [piece.strip(" ();:") for piece in pieces]
    assert [piece for piece in words if piece not in said()] == []
