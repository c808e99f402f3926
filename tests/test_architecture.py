"""Rules for the server's code that no linter checks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for base in ("trichat", "plugins", "examples") for path in (ROOT / base).rglob("*.py"))

# Names with an underscore that the standard library offers for use.
OFFERED = {"sys._current_frames", "os._exit"}
OFFERED_METHODS = {"_replace", "_asdict"}  # of named tuples


def own_names(tree: ast.Module) -> set[str]:
    """Return the names that a module defines: functions, classes, and attributes that its classes set."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr, ctx=ast.Store()):
                names.add(attr)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


def private_names_of_others(source: str) -> Iterator[str]:
    """Yield each private name in a module that another module defines, with its line."""
    tree = ast.parse(source)
    own = own_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attr) if attr.startswith("_") and not attr.startswith("__"):
                text = ast.unparse(node)
                if attr not in own and attr not in OFFERED_METHODS and text not in OFFERED:
                    yield f"line {node.lineno}: {text}"
            case ast.ImportFrom(module=module, names=names):
                for each in names:
                    if each.name.startswith("_") and not each.name.startswith("__"):
                        yield f"line {node.lineno}: {each.name} of {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reaches_for_a_private_name_of_another(path: Path) -> None:
    assert [*private_names_of_others(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("client._outbox.put(b'')", ["line 1: client._outbox"]),
        ("from trichat._plugins.dispatch import _Failed", ["line 1: _Failed of trichat._plugins.dispatch"]),
        ("super()._run()", ["line 1: super()._run"]),
        ("class A:\n    def __init__(self):\n        self._a = 1\n\ndef f(a):\n    return a._a", []),
        ("os._exit(1)", []),
        ("found._replace(name='')", []),
        ("self.__class__", []),
    ],
)
def test_what_counts_as_reaching_for_it(line: str, found: list[str]) -> None:
    assert [*private_names_of_others(line)] == found


def attributes_set_late(source: str) -> Iterator[str]:
    """Return the attributes that a class declares in its `__init__` without a value: `self.name: Type`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for each in ast.walk(node):
                if isinstance(each, ast.AnnAssign) and each.value is None and isinstance(each.target, ast.Attribute):
                    yield f"line {each.lineno}: {ast.unparse(each.target)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_attribute_has_its_value_when_the_object_exists(path: Path) -> None:
    assert [*attributes_set_late(path.read_text(encoding="utf-8"))] == []
