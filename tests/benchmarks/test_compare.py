"""Comparing two versions: what is compared, and how sure the answer is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import compare
import pytest
from bench.load import Load
from bench.measure import CannotTell, Run, Started
from bench.processes import Process
from bench.rows import Row, select
from bench.servers import OURS, Server


def test_a_checkout_is_run_from_its_folder_and_a_server_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "trichat").mkdir()
    first, second, *program = compare.find(str(tmp_path)).command(tmp_path, 1024)
    assert (first, second) == ("env", f"PYTHONPATH={tmp_path}:{tmp_path / 'plugins'}")
    assert program == OURS["trichat"].command(tmp_path, 1024)
    assert compare.find("floor") is OURS["floor"]


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither a folder with a checkout nor one of trichat, "):
        compare.find(str(tmp_path))


@pytest.mark.parametrize(
    ("ratios", "mean", "error"),
    [([0.9, 0.9, 0.9], 0.9, 0.0), ([0.5, 2.0], 1.0, 0.693), ([0.98, 1.0, 1.02, 1.0], 1.0, 0.008)],
    ids=["the same each time", "far apart", "close together"],
)
def test_the_further_the_starts_lie_apart_the_less_is_sure(ratios: list[float], mean: float, error: float) -> None:
    found = compare.mean_and_error(ratios)
    assert found[0] == pytest.approx(mean, abs=0.001)
    assert found[1] == pytest.approx(error, abs=0.001)


@contextmanager
def not_started(server: Server, _: int) -> Iterator[Started]:
    yield Started(server, cast(Process, None), 1024)


def test_the_ratio_of_a_start_is_that_of_the_second_server_without_the_first_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = {"floor": [9.0] + [2.0] * (compare.RUNS - 1), "trichat": [1.0] + [3.0] * (compare.RUNS - 1)}
    monkeypatch.setattr(compare, "started", not_started)
    monkeypatch.setattr(
        compare, "measure_started", lambda row, load, running: Run({"cpu": costs[running.server.name].pop(0)})
    )
    (row,) = select("one-by-one", quick=False)
    assert compare.ratio_of_one_start(row, [OURS["floor"], OURS["trichat"]]) == 1.5
    assert costs == {"floor": [], "trichat": []}


def test_no_run_needs_a_name_that_the_run_before_may_still_have(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, list[range]] = {"floor": [], "trichat": []}

    def note(row: Row, load: Load, running: Started) -> Run:
        taken[running.server.name].append(range(load.first, load.first + load.clients))
        return Run({"cpu": 1.0})

    monkeypatch.setattr(compare, "started", not_started)
    monkeypatch.setattr(compare, "measure_started", note)
    (row,) = select("one-by-one", quick=False)
    compare.ratio_of_one_start(row, [OURS["floor"], OURS["trichat"]])
    for runs in taken.values():
        assert len(runs) == compare.RUNS
        assert len({number for run in runs for number in run}) == compare.RUNS * row.load.clients


def test_what_was_lost_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "started", not_started)
    monkeypatch.setattr(compare, "measure_started", lambda row, load, running: Run({"cpu": 1.0}, faults="1 missing"))
    (row,) = select("one-by-one", quick=False)
    with pytest.raises(CannotTell, match="floor: 1 missing"):
        compare.ratio_of_one_start(row, [OURS["floor"], OURS["floor"]])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "floor"], "'nowhere' is neither"),
        (["floor", "floor", "--row", "fan-out"], "'fan-out' is not a single row with a cost per delivery"),
        (["floor", "floor", "--row", "start"], "'start' is not a single row"),
        (["floor", "floor", "--row", "nothing"], "there is no row 'nothing'"),
        (["floor", "floor", "--starts", "1"], "a single start does not show"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    assert compare.main() == 2
    assert f"compare: {sentence}" in capsys.readouterr().err
