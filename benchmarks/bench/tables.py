"""`results.md`: the figures, with their ratios to the floor and to the best peer."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.results import Judgement, Outcome, Record
from bench.rows import BEST_PEER, FIGURES, Row
from bench.servers import FLOOR, PEERS
from bench.words import short

INTRODUCTION = """\
# Results

`make bench` writes this page; do not edit it by hand. [README.md](README.md) describes the benchmark. Compare the
ratios rather than the absolute figures, which differ between machines and between days. All servers of a row ran one
after the other, {repeat} times. Each figure is the median of its runs. Each ratio is the median of the ratios of
successive runs, because the speed of a machine varies.
"""

PLOTS = """\
![CPU per delivery by the number of clients](plots/growth.svg)

![CPU per delivery by the number of messages in flight](plots/windows.svg)

![CPU per delivery, as a multiple of the floor](plots/ratios.svg)

![Latency](plots/latency.svg)
"""

NOTES = """\
`× floor` and `× best peer` are the ratios of a figure to that of the floor, and to that of the peer with the best
figure. CPU is the processor time of the server process, including the kernel, for each copy of a message that reached a
client. † means that the load generator had more work than the server, so the rate is the load generator's limit.
"""


def results(outcome: Outcome) -> str:
    """Return the page."""
    parts = [
        INTRODUCTION.format(repeat=outcome.repeat),
        _table(["", "on this run"], _circumstances(outcome.record)),
        "## Goals\n",
        _table(
            ["work", "figure", "goal", "reached", ""], [_goal_cells(judgement) for judgement in outcome.judgements()]
        ),
        "## Figures\n",
        PLOTS,
        NOTES,
        *(part for row in outcome.rows for part in _row_parts(outcome, row)),
    ]
    return "\n".join(parts)


def _circumstances(record: Record) -> Iterator[list[str]]:
    yield ["date", f"{datetime.fromtimestamp(record.ended, UTC):%Y-%m-%d}, {record.seconds / 60:.0f} minutes"]
    yield ["machine", f"{os.cpu_count()} cores, {_processor()}; the server on one, the load generator on another"]
    yield ["others on it", f"other processes used {record.others:.0%} of the machine meanwhile"]
    yield ["system", f"{platform.system()} {platform.release()}"]
    for server, version in record.versions.items():
        yield [server, version]
    for peer in PEERS:
        if peer not in record.versions:
            yield [peer, "not installed, left out"]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _goal_cells(judgement: Judgement) -> list[str]:
    row, goal = judgement.row, judgement.goal
    met = {True: "met", False: "**missed**", None: "not measured"}[judgement.met]
    figure = FIGURES[goal.figure].name + ("" if goal.server == "trichat" else f" ({goal.server})")
    return [row.key, figure, str(goal), judgement.reached_in_words(), met]


def _row_parts(outcome: Outcome, row: Row) -> Iterator[str]:
    yield f"### {row.key}: {row.title}\n"
    if row.times > 1:
        yield f"This row ran {row.times} times as often as other rows, by turns, because its figures vary a lot.\n"
    header = ["server"]
    for figure in row.shows:
        header += [FIGURES[figure].heading, "× floor", f"× {BEST_PEER}"]
    known = [server for server in row.servers if _is_known(outcome, row, server)]
    yield _table(*_without_empty_columns(header, [list(_server_cells(outcome, row, server)) for server in known]))


def _without_empty_columns(header: list[str], lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    kept = [place for place in range(len(header)) if any(line[place] for line in lines)]
    return [header[place] for place in kept], [[line[place] for place in kept] for line in lines]


def _is_known(outcome: Outcome, row: Row, server: str) -> bool:
    return (row.key, server) in outcome.runs or (row.key, server) in outcome.failures


def _server_cells(outcome: Outcome, row: Row, server: str) -> Iterator[str]:
    failure = outcome.failures.get((row.key, server))
    yield server + (" †" if (row.key, server) in outcome.limited else "")
    for figure in row.shows:
        value = outcome.figure(row.key, server, figure)
        if value is None:
            yield failure or ""
            yield from ("", "")
            failure = ""
            continue
        yield short(value)
        for other in (FLOOR, BEST_PEER):
            ratio = outcome.ratio(row.key, server, figure, other)
            yield "" if ratio is None else short(ratio)


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    out = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in out)
