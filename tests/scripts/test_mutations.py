"""The small changes to a file: what is changed, into what, and what is left alone."""

import ast
from pathlib import Path

import pytest
from mutations import mutants_of


def changes(text: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in mutants_of("door.py", text.encode())]


def in_function(statement: str) -> list[str]:
    return [after for _, after in changes(f"def f():\n    {statement}\n")]


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("close(door)", ["pass"]),
        ("door.closed = now", ["pass"]),
        ("return door", ["pass"]),
        ("if a: b", ["if True: b", "if False: b", "if a: pass"]),
        ("while a: b", ["while False: b", "while a: pass"]),
        ("assert a < b", []),
        ("logger.debug('hello')", []),
        ("'A docstring.'", []),
        ("door: int | None = b - c", ["door: int | None = (b + c)"]),
        ("x = a < b", ["x = (a <= b)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a and b", ["x = (a or b)", "x = (a)", "x = (b)"]),
        ("x = [a for a in b if c]", ["x = [a for a in b if True]"]),
        ("x = min(a, b)", ["x = (max(a, b))"]),
        ("x = True", ["x = False"]),
        ("x = 'grüße', 5", ["x = 'grüße', 6", "x = 'grüße', 1"]),
        ("x = options.send_timeout", ['x = float("inf")']),
        ("x = f'{a + b}'", []),
    ],
)
def test_a_statement_is_changed_in_these_ways(statement: str, changed: list[str]) -> None:
    assert in_function(statement) == changed


def test_only_an_assignment_that_can_be_missing_without_an_error_is_deleted() -> None:
    assert in_function("last = first") == []
    assert in_function("last = first\n    last = second") == ["pass", "pass"]


def test_limits_of_a_module_are_changed_and_its_other_statements_are_not() -> None:
    text = "LIMIT = 8\nBYTES = 4096\nlogger = get_logger(name)\nif TYPE_CHECKING:\n    TRIES = 3\n"
    changed = ["LIMIT = 9", "LIMIT = 1", "BYTES = 1"]
    assert [after for _, after in changes(text)] == changed


def test_a_mutant_names_its_line_and_has_the_rest_of_the_file_as_it_was() -> None:
    text = (
        "class Door:\n    def f(self) -> int:\n        return add(\n            1, self.grüße - 2\n        )  # why\n"
    )
    deleted, *_, last = mutants_of("door.py", text.encode())
    assert str(deleted) == "door.py:3\n  - return add( 1, self.grüße - 2 ) # why\n  + pass # why"
    assert (last.line, last.text.decode()) == (4, text.replace("- 2", "- 1"))


def test_each_mutant_can_be_parsed_and_says_something_else() -> None:
    text = Path(__file__).read_bytes()
    for mutant in mutants_of(__file__, text):
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(text))
