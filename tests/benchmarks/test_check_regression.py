from pathlib import Path

import check_regression
import pytest
from bench import build
from bench.load import Load
from bench.measure import CannotTell, Run
from bench.rows import Row
from bench.servers import OURS, Server

LIMIT = check_regression.Limit("talk", 2.0, Load(1))


def costs(monkeypatch: pytest.MonkeyPatch, **figures: list[float]) -> None:
    def measure(row: Row, server: Server) -> Run:
        return Run({"cpu": figures[server.name].pop(0)})

    monkeypatch.setattr(check_regression, "measure", measure)


def test_the_best_of_some_rounds_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    costs(monkeypatch, trichat=[5e-6, 3e-6], floor=[2e-6, 2e-6])
    assert check_regression.check(OURS["trichat"], LIMIT)
    assert capsys.readouterr().out == "talk: 3.00 µs of CPU per delivery, 1.50 times the floor (at most 2)\n"


def test_too_much_is_too_much(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    costs(monkeypatch, trichat=[5e-6] * 3, floor=[2e-6] * 3)
    assert not check_regression.check(OURS["trichat"], LIMIT)
    assert "2.50 times the floor (TOO MUCH: 2)" in capsys.readouterr().out


def test_what_was_lost_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_regression, "measure", lambda row, server: Run({"cpu": 1.0}, faults="1 missing"))
    with pytest.raises(CannotTell, match="floor: 1 missing"):
        check_regression.check(OURS["trichat"], LIMIT)


def test_without_a_compiler_it_says_so_and_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "compiler", lambda: None)
    monkeypatch.setattr(check_regression, "build", lambda program: build.build(program, tmp_path))
    monkeypatch.setattr("sys.argv", ["check_regression.py"])
    assert check_regression.main() == 0
    assert "skipped the check of the cost of a message: there is no C compiler" in capsys.readouterr().out
