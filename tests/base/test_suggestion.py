"""What somebody may have meant who misspelled a word."""

import pytest

from trichat import suggestion


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("prot", " (did you mean 'port'?)"),
        ("hosts", " (did you mean 'host'?)"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_a_suggestion_is_made_where_something_looks_alike(word: str, expected: str) -> None:
    assert suggestion(word, ["host", "port"]) == expected
