"""What `trichat replay` prints at its end."""

from datetime import UTC, datetime
from pathlib import Path

from trichat import Message
from trichat._cli.replay_report import EXAMPLES, Report, Tally

NOON = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp() * 1_000_000)


def said(text: str) -> Message:
    return Message(text, "alice").with_id(NOON)


def test_an_example_is_a_line_with_its_time_and_what_came_of_it() -> None:
    tally = Tally()
    tally.add(said("hello"))
    tally.add(said("darn"), "no bad words")
    tally.add(None, "would have said 'tea'")
    assert tally.examples == [
        "2026-11-30 12:00:00 alice: 'hello'",
        "2026-11-30 12:00:00 alice: 'darn' - no bad words",
        "in the background - would have said 'tea'",
    ]


def test_only_the_first_few_are_shown_and_the_others_counted() -> None:
    report = Report("filter", Path("chat_log.txt"), messages=EXAMPLES + 4)
    for number in range(EXAMPLES + 2):
        report.refused.add(said(str(number)))
    assert str(report).splitlines() == [
        f"filter: {EXAMPLES + 4} messages of chat_log.txt",
        f"would have refused: {EXAMPLES + 2}",
        *(f"    2026-11-30 12:00:00 alice: '{number}'" for number in range(EXAMPLES)),
        "    and 2 more",
        *(f"would have {done}: 0" for done in ("changed", "handled", "acted")),
        "failed: 0",
    ]


def test_what_the_report_does_not_cover_comes_first() -> None:
    report = Report("filter", Path("chat_log.txt"), messages=1, others=2, interrupted=True)
    assert str(report).splitlines()[1:3] == [
        "interrupted: the report covers only part of the log",
        "lines that are not messages: 2",
    ]
