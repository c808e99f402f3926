"""Arguments of a wrong type are refused in one sentence."""

import pytest

from trichat._base.arguments import require


def test_an_argument_of_the_right_type_passes() -> None:
    require("hello", str, "the text must be a string")
    require(True, (str, int), "the text must be a string or a number")


@pytest.mark.parametrize(
    ("remedy", "told"),
    [("", "the text must be a string, not 42"), ("use str()", "the text must be a string, not 42; use str()")],
)
def test_any_other_is_refused_and_quoted(remedy: str, told: str) -> None:
    with pytest.raises(TypeError) as refused:
        require(42, str, "the text must be a string", remedy)
    assert str(refused.value) == told


def test_a_value_that_cannot_be_shown_is_refused_as_well() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("oops")

    with pytest.raises(TypeError, match="the text must be a string, not <Broken, which cannot be shown>"):
        require(Broken(), str, "the text must be a string")
