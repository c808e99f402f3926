"""A survey: what it keeps of the cases that were played, and its text about those that were broken."""

import pytest

from trichat.testing import Survey, Violation
from trichat.testing._exploring.player import SHOWN, Broken


def survey(broken: int, good: int) -> Survey:
    """Return a survey with this many cases."""
    survey = Survey()
    for number in range(good):
        survey.add(f"good {number}", [], "")
    for number in range(broken):
        survey.add(f"bad {number}", [Broken("all is well", "it is not")], f"told of {number}")
    return survey


def test_a_survey_in_which_nothing_was_broken_has_nothing_to_say() -> None:
    survey(broken=0, good=3).verdict()


@pytest.mark.parametrize("broken", [1, SHOWN, SHOWN + 1, SHOWN + 30])
def test_it_says_how_many_cases_there_were_and_tells_the_first_few(broken: int) -> None:
    with pytest.raises(Violation) as caught:
        survey(broken, good=3).verdict()
    first, *told = str(caught.value).split("\n\n")
    assert first == f"{broken + 3} cases, {broken} of them broken"
    rest = list(caught.value.broken)[SHOWN:]
    assert told[:SHOWN] == [f"told of {number}" for number in range(min(SHOWN, broken))]
    assert told[SHOWN:] == ([f"and {len(rest)} more broken cases: {', '.join(rest[:20])}"] if rest else [])
