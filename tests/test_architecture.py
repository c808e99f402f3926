"""Rules for the server's code that no linter checks."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from class_kit import Scope, classes, stored_on_self
from import_kit import Imports

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for base in ("trichat", "plugins", "examples") for path in (ROOT / base).rglob("*.py"))

# Names with an underscore that the standard library offers for use.
OFFERED = {"sys._current_frames", "os._exit"}
OFFERED_METHODS = {"_replace", "_asdict"}  # of named tuples

# Attributes that do not exist before some method has run, and why.
LATE: dict[tuple[str, str], str] = {
    ("trichat/_chat/local_broadcaster.py", "LocalBroadcaster.last_sent"): "its base has it, in another module",
}

# The modules of the largest circle of imports. Those that close it are for type checkers alone: what a hook is given is
# made of the layers above.
LARGEST_CIRCLE = 33


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of_others(source: str) -> Iterator[str]:
    """Yield each private name that a module uses of another module, or of an object that may be of another's class."""
    tree = ast.parse(source)
    yield from _private_names(tree, Scope(classes(tree), {}))


def _private_names(node: ast.AST, scope: Scope) -> Iterator[str]:
    match node:
        case ast.Attribute(value=value, attr=attr) if is_private(attr):
            owner, text = scope.class_of(value), ast.unparse(node)
            is_own = owner is not None and attr in owner.names()
            if not is_own and attr not in OFFERED_METHODS and text not in OFFERED:
                yield f"line {node.lineno}: {text}"
        case ast.ImportFrom(module=module, names=names):
            yield from (f"line {node.lineno}: {each.name} of {module}" for each in names if is_private(each.name))
    for child in ast.iter_child_nodes(node):
        yield from _private_names(child, scope.inside(child))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reaches_for_a_private_name_of_another(path: Path) -> None:
    assert [*private_names_of_others(path.read_text(encoding="utf-8"))] == []


CLASS_A = "class A:\n    def __init__(self):\n        self._a = 1\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("client._outbox.put(b'')", ["line 1: client._outbox"]),
        ("from trichat._plugins.dispatch import _Failed", ["line 1: _Failed of trichat._plugins.dispatch"]),
        ("super()._run()", ["line 1: super()._run"]),
        ("class B(A):\n    def f(self):\n        return self._a", ["line 3: self._a"]),
        (f"{CLASS_A}def f(a):\n    return a._a", ["line 5: a._a"]),
        (f"{CLASS_A}def f(a: C):\n    return a._a", ["line 5: a._a"]),
        (f"{CLASS_A}    def f(self):\n        return self.b._a", ["line 5: self.b._a"]),
        (f"{CLASS_A}def f(a: A):\n    return a._b", ["line 5: a._b"]),
        (f"{CLASS_A}class B:\n    def f(self):\n        return self._a", ["line 6: self._a"]),
        (f"{CLASS_A}class B(A):\n    def f(self):\n        return self._a", []),
        (f"{CLASS_A}def f(a: 'A'):\n    return a._a", []),
        (f"{CLASS_A}def f():\n    a = A()\n    return a._a", []),
        (f"{CLASS_A}def f(many: list[A]):\n    return [a._a for a in many]", []),
        (f"{CLASS_A}def f(a: object):\n    return isinstance(a, A) and a._a", []),
        ("os._exit(1)", []),
        ("found._replace(name='')", []),
        ("self.__class__", []),
    ],
)
def test_what_counts_as_reaching_for_it(source: str, found: list[str]) -> None:
    assert [*private_names_of_others(source)] == found


def attributes_set_late(source: str) -> Iterator[str]:
    """Yield the attributes that objects of a class do not have until one of its methods has run."""
    for name, defined in classes(ast.parse(source)).items():
        there = defined.stored_at_birth()
        later = {attribute for method in defined.methods for attribute in stored_on_self(method)}
        yield from (f"{name}.{attribute}" for attribute in sorted(later - there))


def test_every_attribute_has_its_value_when_the_object_exists() -> None:
    found = {
        (str(path.relative_to(ROOT)), attribute)
        for path in MODULES
        for attribute in attributes_set_late(path.read_text(encoding="utf-8"))
    }
    assert found == LATE.keys()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("    def __init__(self):\n        self._a: int", ["A._a"]),
        ("    def __init__(self):\n        self._b = 1\n    def f(self):\n        self._a = self._b = 2", ["A._a"]),
        ("    def f(self):\n        with open('') as self.a:\n            pass", ["A.a"]),
        ("    a: int\n    def f(self):\n        self.a = 1", ["A.a"]),
        ("    __slots__ = ('a',)\n    def f(self):\n        self.a = 1", ["A.a"]),
        ("    a = 0\n    def f(self):\n        self.a = 1", []),
        ("    def __init__(self):\n        self.a = 0\n    def f(self):\n        self.a = 1", []),
    ],
)
def test_what_counts_as_set_late(body: str, found: list[str]) -> None:
    assert [*attributes_set_late(f"class A:\n{body}")] == found


def test_fields_and_what_a_base_sets_are_there_from_the_beginning() -> None:
    source = "@dataclass\nclass A:\n    a: int\n    def f(self):\n        self.a = 1\n"
    assert [*attributes_set_late(f"{source}class B(A):\n    def g(self):\n        self.a = 2")] == []


def test_the_circle_of_modules_that_need_each_other_does_not_grow() -> None:
    largest = max(Imports(ROOT / "trichat").circles(), key=len)
    assert len(largest) <= LARGEST_CIRCLE, sorted(largest)


def test_a_circle_is_found_wherever_its_imports_are(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("from house import a\n")
    (package / "a.py").write_text("import os\nfrom house.b import B\n")
    (package / "b.py").write_text("def f():\n    import house.c\n")
    (package / "c.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import a\n")
    (package / "d.py").write_text("from house import b\n")
    assert Imports(package).circles() == [{"house.a", "house.b", "house.c"}]
