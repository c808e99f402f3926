"""`make bench`: runs the rows of `rows.py`, and writes `results.md` and the plots.

The exit status is 1 if any message was lost or out of order.
"""

import argparse
import signal
import sys
import time

from bench.build import BENCHMARKS, BUILD, NoCompiler, build, compile_trichat
from bench.measure import Run, measure
from bench.processes import Bystanders, raise_file_limit
from bench.results import Outcome, Record, Taken, summarize
from bench.rows import FIGURES, ROWS, Row, in_turn, select
from bench.servers import Server, find_servers
from bench.tables import results

LAST = BUILD / "last.json"


def main() -> int:
    """Run the benchmark, and return the exit status."""
    arguments = _parser().parse_args()
    # An exception lets the context managers end the processes that run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        rows = select(arguments.rows, quick=arguments.quick)
        for program in ("load", "floor"):
            build(program)
        compile_trichat()
    except (ValueError, NoCompiler) as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    if arguments.render:
        record = Record.read(LAST)
    else:
        raise_file_limit()
        servers, absent = find_servers()
        for name in absent:
            print(f"{name} is not installed; leaving it out")
        record = run_all(rows, servers, repeat=1 if arguments.quick else arguments.repeat, quick=arguments.quick)
        if not arguments.quick:
            record = Record.read(LAST).with_rows_of(record) if arguments.add else record
            record.write(LAST)
    outcome = summarize(rows if arguments.quick else ROWS, record)
    print(f"\n{outcome.goals_in_words()}\n")
    print(f"{record.seconds:.0f} s; other processes took {record.others:.0%} of the machine")
    if not arguments.quick:
        (BENCHMARKS / "results.md").write_text(results(outcome))
        _draw(outcome)
    for fault in outcome.faults:
        print(f"bench: {fault}", file=sys.stderr)
    return 1 if outcome.faults else 0


def run_all(rows: list[Row], servers: dict[str, Server], repeat: int, *, quick: bool) -> Record:
    """Run everything, interleaved: each server once in each row, then all of that again, `repeat` times in all."""
    began, others = time.monotonic(), Bystanders()
    taken: list[Taken] = []
    failed: set[tuple[str, str]] = set()
    for turn in range(repeat):
        for row, name in in_turn(rows, quick=quick):
            # A run that failed may have taken a minute. It is not tried again.
            if name in servers and (row.key, name) not in failed:
                run = measure(row, servers[name], quick=quick)
                taken.append(Taken(row.key, name, run))
                if run.failure:
                    failed.add((row.key, name))
                print(f"{turn + 1}/{repeat} {row.key:<14} {name:<22} {_in_words(row, run)}", flush=True)
    versions = {name: server.version for name, server in servers.items() if any(name in row.servers for row in rows)}
    return Record(taken, time.time(), time.monotonic() - began, others.share(), versions)


def _in_words(row: Row, run: Run) -> str:
    if run.failure:
        return run.failure
    figures = (f"{run.figures[key] * FIGURES[key].scale:10.3f} {FIGURES[key].unit:<4}" for key in row.shows)
    limit = " (limited by the load generator)" if run.limited_by_load else ""
    return f"{' '.join(figures)}{limit} {run.faults}"


def _draw(outcome: Outcome) -> None:
    try:
        from bench.plots import draw_all
    except ModuleNotFoundError as missing:
        print(f"no plots: {missing}")
    else:
        draw_all(outcome, BENCHMARKS / "plots")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="Compare trichat with a floor and its peers.")
    parser.add_argument("--rows", default="", help="run only these rows, separated by commas; a prefix is enough")
    parser.add_argument("--repeat", type=int, default=3, help="run each row so many times, for the medians (3)")
    parser.add_argument("--quick", action="store_true", help="run each row once, for a second; write no results.md")
    parser.add_argument("--add", action="store_true", help="keep the rows of the last run that are not run now")
    parser.add_argument("--render", action="store_true", help="run nothing; write the page of the last run again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
