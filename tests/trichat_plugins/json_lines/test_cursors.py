"""Cursors: ids on their way to a client and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trichat_plugins.json_lines.cursors import cursor_at, id_at


@given(st.integers(0, 2**63))
def test_a_cursor_comes_back_as_the_id_that_it_was_made_of(id: int) -> None:
    assert id_at(cursor_at(id)) == id


def test_a_cursor_does_not_look_like_a_number() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        int(cursor_at(1_764_000_000_000_000))


@pytest.mark.parametrize(
    "text", ["", "c", "1764000000000000", "c-1", "c 1", "c0x1", "cg", "C1", "c1\n", "c" + "1" * 17]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor; send one as it was received") as caught:
        id_at(text)
    assert str(caught.value).startswith(repr(text))
