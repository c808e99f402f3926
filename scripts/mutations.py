"""The small changes to a file that a test should notice: its mutants."""

import ast
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

# One more than a larger number is as good, and no test can tell.
LARGE = 10

# Each is written in place of the other one.
PAIRS: list[tuple[type[ast.AST], type[ast.AST]]] = [
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
]
SWAPPED: dict[type[ast.AST], Any] = {**dict(PAIRS), **{after: before for before, after in PAIRS}}
OTHER_CALL = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """A file with one change: where, the lines before and after it, and the whole text."""

    path: str
    line: int
    before: str
    after: str
    text: bytes

    def __str__(self) -> str:
        return f"{self.path}:{self.line}\n  - {self.before}\n  + {self.after}"


class Changes(ast.NodeVisitor):
    """Collects the changes to a module: a node, and what to write in its place."""

    def __init__(self, module: ast.Module) -> None:
        self.found: list[tuple[ast.expr | ast.stmt, str]] = []
        names = (node for node in ast.walk(module) if isinstance(node, ast.Name))
        self._stored = Counter(name.id for name in names if isinstance(name.ctx, ast.Store))
        self._in_function = False
        self.visit(module)

    def visit(self, node: ast.AST) -> None:
        """Note the changes to a node and what is in it."""
        match node:
            # Types, what checks nothing at run time, and f-strings, whose places are wrong before Python 3.12.
            case ast.Assert() | ast.JoinedStr() | ast.arg() | ast.If(test=ast.Name("TYPE_CHECKING")):
                return
            case ast.Expr(ast.Constant()) | ast.Expr(ast.Call(ast.Attribute(ast.Name("logger"), "debug"))):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                outer, self._in_function = self._in_function, True
                for child in [*node.args.defaults, *node.args.kw_defaults, *node.body]:
                    if child is not None:
                        self.visit(child)
                self._in_function = outer
                return
            case ast.AnnAssign():
                if node.value is not None:
                    self.visit(node.value)
                return
            case ast.expr() | ast.stmt():
                self.found += [(node, each) for each in self._instead_of(node)]
            case ast.comprehension():
                self.found += [(each, "True") for each in node.ifs]
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            endless = isinstance(node, ast.While)
            self.found += [(node.test, each) for each in (["False"] if endless else ["True", "False"])]
        self.generic_visit(node)

    def _instead_of(self, node: ast.expr | ast.stmt) -> Iterator[str]:
        match node:
            case (
                ast.Expr() | ast.AugAssign() | ast.Return() | ast.Raise() | ast.Delete() | ast.Continue() | ast.Break()
            ):
                if self._in_function:
                    yield "pass"
            case ast.Assign(targets=[target]):
                # Without its only assignment, a local variable is an error that any test finds.
                if self._in_function and not (isinstance(target, ast.Name) and self._stored[target.id] < 2):
                    yield "pass"
            case ast.Compare(ops=[operator]):
                yield _written(ast.Compare(node.left, [SWAPPED[type(operator)]()], node.comparators))
            case ast.BoolOp():
                yield _written(ast.BoolOp(SWAPPED[type(node.op)](), node.values))
                yield from (_written(each) for each in node.values)
            case ast.BinOp() if type(node.op) in SWAPPED:
                yield _written(ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right))
            case ast.UnaryOp(ast.Not(), operand):
                yield _written(operand)
            case ast.Call(ast.Name(name)) if name in OTHER_CALL:
                yield _written(ast.Call(ast.Name(OTHER_CALL[name]), node.args, node.keywords))
            case ast.Constant(bool(value)):
                yield repr(not value)
            case ast.Constant(int(number) | float(number)):
                if number < LARGE:
                    yield repr(number + 1)
                if number > 1:
                    yield "1"
            case ast.Attribute(attr=name, ctx=ast.Load()) | ast.Name(name, ast.Load()):
                if name.lower().endswith("timeout"):
                    yield 'float("inf")'


def _written(node: ast.expr) -> str:
    return f"({ast.unparse(ast.fix_missing_locations(node))})"


def mutants_of(path: str, text: bytes) -> Iterator[Mutant]:
    """Yield the mutants of a file, in the order of its lines."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    changes = Changes(ast.parse(text)).found
    for node, instead in sorted(changes, key=lambda change: (change[0].lineno, change[0].col_offset)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1], starts[node.end_lineno]
        head = text[start : start + node.col_offset]
        tail = text[starts[node.end_lineno - 1] + node.end_col_offset : end]
        changed = head + instead.encode() + tail
        before, after = (" ".join(each.decode().split()) for each in (text[start:end], changed))
        yield Mutant(path, node.lineno, before, after, text[:start] + changed + text[end:])
