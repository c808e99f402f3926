"""What the source of a module says about its classes, and which names in it are objects of them."""

import ast
from collections.abc import Iterator, Mapping

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Bases and decorators that store the annotated names of a class body when an object is made.
_OF_FIELDS = {"Struct", "Options", "NamedTuple", "Protocol", "dataclass"}


def stored_on_self(node: ast.AST) -> Iterator[str]:
    """Yield the attributes that code stores on `self` or `cls`, or declares there without a value."""
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attribute, ctx=ast.Store()):
                yield attribute


def _only_declared(node: ast.AST) -> Iterator[str]:
    """Yield the attributes that code declares on `self` without a value: `self.name: Type`."""
    for each in ast.walk(node):
        match each:
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=None):
                yield attribute


class Class:
    """A class, and those of its bases that the same module defines."""

    def __init__(self, node: ast.ClassDef, earlier: Mapping[str, "Class"]) -> None:
        self.node = node
        self.bases = [earlier[name] for name in map(_name, node.bases) if name in earlier]
        self._has_fields = not _OF_FIELDS.isdisjoint(map(_name, [*node.bases, *node.decorator_list]))

    @property
    def methods(self) -> list[Function]:
        """Its own functions."""
        return [each for each in self.node.body if isinstance(each, Function)]

    def names(self) -> set[str]:
        """Return the names that it defines: methods, names in its body, and attributes that its methods store."""
        own = {each.name for each in self.node.body if isinstance(each, Function | ast.ClassDef)}
        inherited = (base.names() for base in self.bases)
        return own.union(stored_on_self(self.node), self._assigned(values_only=False), *inherited)

    def stored_at_birth(self) -> set[str]:
        """Return the attributes that an object has as soon as it exists."""
        stored = self._assigned(values_only=not self._has_fields)
        for method in self.methods:
            if method.name == "__init__":
                stored |= set(stored_on_self(method)).difference(_only_declared(method))
        return stored.union(*(base.stored_at_birth() for base in self.bases))

    def _assigned(self, *, values_only: bool) -> set[str]:
        """Return the names that its body assigns. Annotations without a value count only without `values_only`."""
        names: set[str] = set()
        for each in self.node.body:
            match each:
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if value or not values_only:
                    names.add(name)
                case ast.Assign(targets=targets):
                    names.update(target.id for target in targets if isinstance(target, ast.Name))
        return names


def _name(node: ast.expr) -> str:
    """Return the name of a base or decorator: `Outbox`, `msgspec.Struct`, `Generic[T]`, `dataclass(frozen=True)`."""
    match node:
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return _name(inner)
    return ast.unparse(node).rpartition(".")[2]


def classes(tree: ast.Module) -> dict[str, Class]:
    """Return the classes of a module by name, nested ones as well."""
    found: dict[str, Class] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found[node.name] = Class(node, found)
    return found


class Scope:
    """Names and attributes that are, or contain, objects of the classes that a module defines."""

    def __init__(self, known: Mapping[str, Class], names: Mapping[str, Class]) -> None:
        self._known = known
        self._names = names

    def class_of(self, node: ast.expr) -> Class | None:
        """Return the class of an expression, if it is a name and its class is known."""
        return self._names.get(node.id) if isinstance(node, ast.Name) else None

    def inside(self, node: ast.AST) -> "Scope":
        """Return the scope in a class or function, or this one for anything else."""
        match node:
            case ast.ClassDef(name=name):
                itself = self._known[name]
                return Scope(self._known, {**self._names, "self": itself, "cls": itself})
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return Scope(self._known, {**self._names, **self._of_function(node)})
        return self

    def _of_function(self, function: Function) -> Mapping[str, Class]:
        found: dict[str, Class] = {}
        for node in ast.walk(function):
            match node:
                case ast.arg(arg=name, annotation=ast.expr() as kind):
                    self._note(name, kind, found)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                    self._note(name, kind, found)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=kind)):
                    self._note(name, kind, found)
                case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kind]):
                    self._note(name, kind, found)
        for node in ast.walk(function):
            match node:
                case (
                    ast.For(target=ast.Name(id=name), iter=over)
                    | ast.comprehension(target=ast.Name(id=name), iter=over)
                ):
                    self._note_member(name, over, found)
        return found

    def _note(self, name: str, kind: ast.expr, found: dict[str, Class]) -> None:
        """Note that `name` is of a class that an annotation or a call names."""
        for node in ast.walk(kind):
            match node:
                case ast.Name(id=text) | ast.Constant(value=str(text)) if text in self._known:
                    found.setdefault(name, self._known[text])

    def _note_member(self, name: str, over: ast.expr, found: dict[str, Class]) -> None:
        """Note the class of a loop's variable: that of the annotation of what the loop goes over."""
        for node in ast.walk(over):
            match node:
                case ast.Name(id=container) if container in found:
                    found.setdefault(name, found[container])
                case ast.Attribute(value=ast.Name(id="self")) if "self" in self._names:
                    for each in ast.walk(self._names["self"].node):
                        if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == ast.unparse(node):
                            self._note(name, each.annotation, found)
