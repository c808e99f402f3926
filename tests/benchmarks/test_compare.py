"""Comparing two versions: what is compared, and how sure the answer is."""

import sys
from pathlib import Path

import compare
import pytest
from bench.measure import Run, Started
from bench.rows import select
from bench.servers import OURS


def test_a_checkout_is_run_from_its_folder_and_a_server_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "trichat").mkdir()
    first, second, *program = compare.find(str(tmp_path)).command(tmp_path, 1024)
    assert (first, second) == ("env", f"PYTHONPATH={tmp_path}:{tmp_path / 'plugins'}")
    assert program == OURS["trichat"].command(tmp_path, 1024)
    assert compare.find("floor") is OURS["floor"]


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(compare.CannotTell, match=r"neither a folder with a checkout nor one of trichat, "):
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


def test_what_was_lost_is_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare, "measure_started", lambda row, load, running: Run({"cpu": 1.0}, faults="1 missing"))
    (row,) = select("one-by-one", quick=False)
    with pytest.raises(compare.CannotTell, match="floor: 1 missing"):
        compare.cost(row, Started(OURS["floor"], None, 1024))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "floor"], "'nowhere' is neither"),
        (["floor", "floor", "--row", "fan-out"], "'fan-out' is not one row with a cost per delivery"),
        (["floor", "floor", "--row", "start"], "'start' is not one row"),
        (["floor", "floor", "--row", "nothing"], "there is no row 'nothing'"),
        (["floor", "floor", "--starts", "1"], "a single start says nothing"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    assert compare.main() == 2
    assert f"compare: {sentence}" in capsys.readouterr().err
