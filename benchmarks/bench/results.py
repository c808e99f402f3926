"""The results of the runs: medians, ratios, and which goals are met."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.measure import Run
from bench.rows import BEST_PEER, FIGURES, Goal, Row
from bench.servers import PEERS
from bench.words import short


class Taken(msgspec.Struct, frozen=True):
    """A run, with its row and its server."""

    row: str
    server: str
    run: Run


class Record(msgspec.Struct, frozen=True):
    """All runs, in order, and their circumstances."""

    runs: Sequence[Taken]
    ended: float
    """The time of the end, in seconds since 1970."""
    seconds: float
    others: float
    """The share of the machine that other processes used meanwhile."""
    versions: dict[str, str]
    """The versions of the servers that ran."""

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Read a record that `write` has written."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def with_rows_of(self, later: "Record") -> "Record":
        """Return this record with the rows of `later` in place of its own."""
        replaced = {taken.row for taken in later.runs}
        kept = [taken for taken in self.runs if taken.row not in replaced]
        seconds = self.seconds + later.seconds
        others = (self.others * self.seconds + later.others * later.seconds) / seconds if seconds else 0.0
        return Record([*kept, *later.runs], later.ended, seconds, others, {**self.versions, **later.versions})

    def write(self, path: Path) -> None:
        """Save the record, so that the page can be written again."""
        path.write_bytes(msgspec.json.encode(self))


@dataclass(frozen=True)
class Judgement:
    """A goal, and the value that was reached."""

    row: Row
    goal: Goal
    reached: float | None
    """The value to compare with the goal: a ratio, or the figure in its unit; `None` if it was not measured."""
    against: str = ""
    """The server that it was compared with."""
    ratios: Sequence[float] = ()
    """The ratios of successive runs; `reached` is their median."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; `None` if it was not measured."""
        if self.reached is None:
            return None
        if self.goal.most is not None:
            return self.reached <= self.goal.most
        return self.goal.least is not None and self.reached >= self.goal.least

    def __str__(self) -> str:
        word = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        name = f"{self.goal.server}: {FIGURES[self.goal.figure].name}"
        return f"{word:<13} {self.row.key:<13} {name} {self.goal}: {self.reached_in_words()}"

    def reached_in_words(self) -> str:
        """Return the value that was reached and the server compared with, or an empty string if not measured."""
        if self.reached is None:
            return ""
        spread = f" ({short(min(self.ratios))} to {short(max(self.ratios))})" if len(self.ratios) > 1 else ""
        return short(self.reached) + (f" × {self.against}{spread}" if self.goal.of else "")


@dataclass(frozen=True)
class Outcome:
    """All results, by row and server."""

    rows: Sequence[Row]
    runs: Mapping[tuple[str, str], Sequence[Run]]
    """The runs that succeeded, in order."""
    failures: Mapping[tuple[str, str], str]
    limited: Sequence[tuple[str, str]]
    """The rows and servers where the load generator was the limit."""
    faults: Sequence[str]
    repeat: int
    record: Record

    def figure(self, row: str, server: str, figure: str) -> float | None:
        """Return a median, in the figure's unit."""
        values = [run.figures[figure] for run in self.runs.get((row, server), ()) if figure in run.figures]
        return statistics.median(values) * FIGURES[figure].scale if values else None

    def best_peer(self, row: str, figure: str) -> str | None:
        """Return the peer with the best figure, or `None` if no peer has one."""
        found = {peer: value for peer in PEERS if (value := self.figure(row, peer, figure)) is not None}
        if not found:
            return None
        return (max if FIGURES[figure].more_is_better else min)(found, key=lambda peer: found[peer])

    def ratio(self, row: str, server: str, figure: str, of: str, of_row: str = "") -> float | None:
        """Return the median of `ratios`, or `None` if there are none."""
        ratios = self.ratios(row, server, figure, of, of_row)
        return statistics.median(ratios) if ratios else None

    def ratios(self, row: str, server: str, figure: str, of: str, of_row: str = "") -> Sequence[float]:
        """Return the ratios of the figure of `server` to that of `of`, which may be in another row, `of_row`.

        Servers that are compared run by turns. Each run is compared with its neighbour, because the speed of a machine
        changes more slowly than that.
        """
        other = self.best_peer(row, figure) if of == BEST_PEER else of
        pairs = zip(self.runs.get((row, server), ()), self.runs.get((of_row or row, other or ""), ()), strict=False)
        return [run.figures[figure] / against.figures[figure] for run, against in pairs if against.figures[figure]]

    def judge(self, row: Row, goal: Goal) -> Judgement:
        """Return the result for a goal."""
        if not goal.of:
            return Judgement(row, goal, self.figure(row.key, goal.server, goal.figure))
        against = self.best_peer(row.key, goal.figure) if goal.of == BEST_PEER else goal.of
        ratios = self.ratios(row.key, goal.server, goal.figure, goal.of, goal.row)
        return Judgement(row, goal, statistics.median(ratios) if ratios else None, against or goal.of, ratios)

    def judgements(self) -> list[Judgement]:
        """Return the results for all goals."""
        return [self.judge(row, goal) for row in self.rows for goal in row.goals]

    def goals_in_words(self) -> str:
        """Return a line for each goal."""
        return "\n".join(map(str, self.judgements()))


def summarize(rows: Sequence[Row], record: Record) -> Outcome:
    """Group the runs by row and server."""
    runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for taken in record.runs:
        runs[taken.row, taken.server].append(taken.run)
    times = {row.key: row.times for row in rows}
    done = {key: [run for run in each if not run.failure] for key, each in runs.items()}
    return Outcome(
        [row for row in rows if any(taken.row == row.key for taken in record.runs)],
        runs={key: each for key, each in done.items() if each},
        failures={key: run.failure for key, each in runs.items() for run in each if run.failure},
        limited=[key for key, each in done.items() if 2 * sum(run.limited_by_load for run in each) > len(each)],
        faults=[f"{row}: {server}: {run.faults}" for (row, server), each in runs.items() for run in each if run.faults],
        repeat=max((len(each) // times.get(row, 1) for (row, _), each in runs.items()), default=0),
        record=record,
    )
