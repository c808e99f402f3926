import dataclasses
from pathlib import Path

import pytest
from bench.load import Load
from bench.measure import Run
from bench.results import Outcome, Record, Taken, summarize
from bench.rows import BEST_PEER, Goal, Row

ROW = Row(
    "talk",
    "people talk",
    Load(3),
    ("trichat", "floor", "ngircd", "inspircd"),
    ("cpu", "rate"),
    goals=(Goal("cpu", most=1.3, of="floor"), Goal("rate", least=60_000), Goal("cpu", most=0.5, of=BEST_PEER)),
)


def outcome(*runs: tuple[str, Run]) -> Outcome:
    return summarize([ROW], Record([Taken("talk", server, run) for server, run in runs], 0.0, 0.0, 0.0, {}))


def run(cpu: float, rate: float = 50_000.0) -> Run:
    return Run({"cpu": cpu, "rate": rate})


MEASURED = (
    ("trichat", run(3e-6)),
    ("trichat", run(9e-6)),
    ("trichat", run(2.6e-6, rate=70_000)),
    ("floor", run(2e-6)),
    ("ngircd", run(9e-6, rate=90_000)),
    ("inspircd", run(8e-6)),
)


def test_a_figure_is_the_median_in_its_unit() -> None:
    assert outcome(*MEASURED).figure("talk", "trichat", "cpu") == pytest.approx(3.0)
    assert outcome(*MEASURED).figure("talk", "obvious", "cpu") is None


def test_ratios_are_to_any_server_and_to_the_best_peer() -> None:
    found = outcome(*MEASURED)
    assert found.ratio("talk", "trichat", "cpu", "floor") == pytest.approx(1.5)
    assert found.ratio("talk", "trichat", "cpu", BEST_PEER) == pytest.approx(3 / 8)
    assert found.ratio("talk", "trichat", "rate", BEST_PEER) == pytest.approx(5 / 9)
    assert found.ratio("talk", "trichat", "cpu", "obvious") is None


def test_a_machine_that_becomes_slower_does_not_change_a_ratio() -> None:
    runs = [(("trichat", run(1.2 * mood)), ("floor", run(mood))) for mood in (1.0, 2.0)]
    found = outcome(*runs[0], *runs[1], ("trichat", run(8.0)), ("floor", run(8.0)))
    assert found.ratio("talk", "trichat", "cpu", "floor") == pytest.approx(1.2)


def test_nothing_is_a_multiple_of_nothing() -> None:
    found = outcome(("trichat", run(1.0)), ("floor", run(0.0)))
    assert found.ratio("talk", "trichat", "cpu", "floor") is None


def test_rows_that_are_run_by_turns_are_compared_run_by_run() -> None:
    slow = dataclasses.replace(ROW, key="slow", goals=(Goal("cpu", most=1.1, of="trichat", row="talk"),))
    # The machine became slower and slower, and that is not what the second row is about.
    runs = [(row, run(cpu)) for row, cpu in (("talk", 1.0), ("slow", 1.2), ("slow", 2.2), ("talk", 2.0))]
    runs += [("talk", run(8.0)), ("slow", run(8.0))]
    record = Record([Taken(row, "trichat", each) for row, each in runs], 0.0, 0.0, 0.0, {})
    (judgement,) = summarize([slow], record).judgements()
    assert judgement.reached == pytest.approx(1.1)


def test_goals_are_judged() -> None:
    assert outcome(*MEASURED).goals_in_words().splitlines() == [
        "MISSED        talk          trichat: CPU of the server per delivery ≤ 1.3 × floor: 1.5 × floor",
        "MISSED        talk          trichat: messages a second ≥ 60,000: 50,000",
        "met           talk          trichat: CPU of the server per delivery ≤ 0.5 × best peer: 0.375 × inspircd",
    ]


def test_a_ratio_of_several_runs_has_its_spread() -> None:
    runs = [(("trichat", run(cpu)), ("floor", run(1.0))) for cpu in (1.1, 1.3, 1.2)]
    judgement, *_ = outcome(*(each for pair in runs for each in pair)).judgements()
    assert judgement.reached_in_words() == "1.2 × floor (1.1 to 1.3)"


def test_without_peers_a_goal_is_not_measured() -> None:
    found = outcome(*MEASURED[:4])
    assert [judgement.met for judgement in found.judgements()] == [False, False, None]
    assert found.best_peer("talk", "cpu") is None


def test_what_could_not_be_done_has_a_word_and_no_figures() -> None:
    found = outcome(("ngircd", Run({}, failure="2 of 3 clients got in")))
    assert found.failures == {("talk", "ngircd"): "2 of 3 clients got in"}
    assert found.figure("talk", "ngircd", "cpu") is None


def test_what_was_lost_is_a_fault_with_its_place() -> None:
    found = outcome(("floor", run(1e-6)), ("trichat", Run({"cpu": 1e-6, "rate": 1.0}, faults="1 missing")))
    assert found.faults == ["talk: trichat: 1 missing"]


def test_a_server_that_mostly_waited_for_the_load_is_marked() -> None:
    waited = Run({"cpu": 1e-6, "rate": 1.0}, limited_by_load=True)
    assert outcome(("floor", waited), ("floor", waited), ("floor", run(1e-6))).limited == [("talk", "floor")]
    assert outcome(("floor", waited), ("floor", run(1e-6))).limited == []


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record([Taken("talk", "floor", Run({"cpu": 1.0}, "1 missing", True, ""))], 1.0, 2.0, 0.5, {"floor": "1"})
    record.write(tmp_path / "last.json")
    assert Record.read(tmp_path / "last.json") == record


def test_rows_that_are_run_again_are_replaced() -> None:
    old = Record(
        [Taken("talk", "floor", run(1.0)), Taken("idle", "floor", run(2.0))],
        1.0,
        30.0,
        0.5,
        {"floor": "1", "ngircd": "26"},
    )
    new = Record([Taken("talk", "floor", run(3.0))], 2.0, 10.0, 0.1, {"floor": "2"})
    both = old.with_rows_of(new)
    assert both.runs == [Taken("idle", "floor", run(2.0)), Taken("talk", "floor", run(3.0))]
    assert (both.ended, both.seconds) == (2.0, 40.0)
    assert both.others == pytest.approx(0.4)
    assert both.versions == {"floor": "2", "ngircd": "26"}
