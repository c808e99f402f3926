import dataclasses

from bench.load import Load
from bench.measure import Run
from bench.results import Record, Taken, summarize
from bench.rows import Goal, Row
from bench.tables import results

ROW = Row(
    "talk", "people talk", Load(3), ("trichat", "floor", "ngircd"), ("cpu",), goals=(Goal("cpu", most=1.3, of="floor"),)
)


def page(**runs: Run) -> list[str]:
    record = Record([Taken("talk", server, run) for server, run in runs.items()], 0.0, 60.0, 0.25, {"floor": "of C"})
    return results(summarize([ROW], record)).splitlines()


def test_ratios_are_beside_the_figures() -> None:
    lines = page(trichat=Run({"cpu": 3e-6}), floor=Run({"cpu": 2e-6}, limited_by_load=True))
    assert lines[lines.index("### talk: people talk") :] == [
        "### talk: people talk",
        "",
        "| server | CPU of the server per delivery, µs | × floor |",
        "| --- | --- | --- |",
        "| trichat | 3 | 1.5 |",
        "| floor † | 2 | 1 |",
    ]


def test_a_goal_that_is_missed_stands_out() -> None:
    lines = page(trichat=Run({"cpu": 3e-6}), floor=Run({"cpu": 2e-6}))
    assert "| talk | CPU of the server per delivery | ≤ 1.3 × floor | 1.5 × floor | **missed** |" in lines


def test_versions_and_circumstances_are_told() -> None:
    lines = page(trichat=Run({"cpu": 3e-6}))
    assert "| date | 1970-01-01, 1 minutes |" in lines
    assert "| others on it | other processes used 25% of the machine meanwhile |" in lines
    assert "| floor | of C |" in lines
    assert "| ngircd | not installed, left out |" in lines


def test_a_failure_stands_where_the_figure_would() -> None:
    lines = page(trichat=Run({"cpu": 3e-6}), ngircd=Run({}, failure="2 of 3 clients joined"))
    assert "| ngircd | 2 of 3 clients joined |" in lines


def test_a_row_that_is_run_more_often_says_so() -> None:
    row = dataclasses.replace(ROW, times=3)
    record = Record([Taken("talk", "trichat", Run({"cpu": 3e-6}))] * 6, 0.0, 60.0, 0.25, {})
    text = results(summarize([row], record))
    assert "one after the other, 2 times." in " ".join(text.split())
    assert "### talk: people talk\n\nThis row ran 3 times as often as other rows" in text
