"""Which module of a package imports which."""

import ast
from collections.abc import Iterator
from pathlib import Path


class Imports:
    """The imports of a package, also those inside functions and for type checkers alone."""

    def __init__(self, package: Path) -> None:
        self._paths = {_module_name(path, package.parent): path for path in package.rglob("*.py")}
        self.of: dict[str, set[str]] = {name: set(self._imported(path)) for name, path in self._paths.items()}

    def _imported(self, path: Path) -> Iterator[str]:
        """Yield the modules of the package that a module imports: `from a import b` means `a.b`, if that is one."""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from (each.name for each in names if each.name in self._paths)
                case ast.ImportFrom(module=str(module), names=names):
                    for each in names:
                        name = f"{module}.{each.name}" if f"{module}.{each.name}" in self._paths else module
                        if name in self._paths:
                            yield name

    def circles(self) -> list[set[str]]:
        """Return the sets of modules that import each other, directly or not."""
        reached = {name: self._reachable(name) for name in self.of}
        circles = {frozenset(other for other in reached[name] if name in reached[other]) for name in self.of}
        return [set(circle) for circle in circles if len(circle) > 1]

    def _reachable(self, name: str) -> set[str]:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            new = self.of[waiting.pop()] - reached
            reached |= new
            waiting += new
        return reached


def _module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
