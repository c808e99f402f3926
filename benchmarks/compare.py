"""Compare the processor time of a delivery in two versions of trichat, with the error of the result.

    git worktree add ../before HEAD~1
    PYTHONPATH=benchmarks .venv/bin/python benchmarks/compare.py ../before . [--row one-by-one] [--starts 16]

Use it for changes that are worth a few percent. Two processes of the same code differ by four percent for as long as
they live, and a machine is slower at some times than at others. So both versions are started many times, and after
each start short runs of both alternate; the error is computed from how much the starts differ. Instead of a checkout,
you can name any server of the benchmark.
"""

import argparse
import dataclasses
import math
import random
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.build import NoCompiler, build, compile_trichat
from bench.load import LoadFailed
from bench.measure import CannotTell, measure_started, shortened, started
from bench.processes import DidNotStart, raise_file_limit
from bench.rows import Row, select
from bench.servers import Command, Server, find_servers, trichat

# Runs of each server after one start; the first is not counted.
RUNS = 9


def find(name: str) -> Server:
    """Return the server of this name, or that of a checkout in a folder. Raises `ValueError`."""
    servers, _ = find_servers()
    if name in servers:
        return servers[name]
    folder = Path(name).resolve()
    if not (folder / "trichat").is_dir():
        raise ValueError(f"{name!r} is neither a folder with a checkout nor one of {', '.join(servers)}")
    installed = trichat()

    def command(run_folder: Path, port: int) -> Command:
        return ["env", f"PYTHONPATH={folder}:{folder / 'plugins'}", *installed.command(run_folder, port)]

    return dataclasses.replace(installed, name=name, command=command)


def ratio_of_one_start(row: Row, servers: Sequence[Server]) -> float:
    """Alternate runs of both servers; return the ratio of the second one's time to that of the first.

    Raises `CannotTell`, `DidNotStart` and `LoadFailed`.
    """
    with ExitStack() as stack:
        both = [stack.enter_context(started(server, row.log_lines)) for server in servers]
        ratios = []
        for number in range(RUNS):
            load = dataclasses.replace(shortened(row.load), first=number * row.load.clients)
            costs = {}
            for running in random.sample(both, 2):
                costs[running] = measure_started(row, load, running).cost(running.server.name)
            if number:
                ratios.append(costs[both[1]] / costs[both[0]])
    return statistics.median(ratios)


def mean_and_error(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the geometric mean of ratios and its standard error."""
    logarithms = [math.log(ratio) for ratio in ratios]
    mean = math.exp(statistics.mean(logarithms))
    return mean, mean * statistics.stdev(logarithms) / math.sqrt(len(ratios))


def main() -> int:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="a folder with a checkout, or the name of a server")
    parser.add_argument("after", help="the folder or server to compare with it")
    parser.add_argument("--row", default="one-by-one", help="a row of rows.py (one-by-one)")
    parser.add_argument("--starts", type=int, default=16, help="how many times to start both, at least 2 (16)")
    options = parser.parse_args()
    try:
        row, *others = select(options.row, quick=False)
        if others or "cpu" not in row.shows:
            raise ValueError(f"{options.row!r} is not a single row with a cost per delivery")
        if options.starts < 2:
            raise ValueError("a single start does not show how much starts differ; use --starts 2 or more")
        servers = [find(options.before), find(options.after)]
        build("load")
        build("floor")
        compile_trichat()
        raise_file_limit()
        ratios = []
        for number in range(options.starts):
            ratios.append(ratio_of_one_start(row, servers))
            print(f"start {number + 1}: {ratios[-1]:.3f}", flush=True)
    except (CannotTell, DidNotStart, LoadFailed, NoCompiler, ValueError) as problem:
        print(f"compare: {problem}", file=sys.stderr)
        return 2
    mean, error = mean_and_error(ratios)
    print(
        f"{row.key}: a delivery in {options.after} costs {mean:.3f} ± {error:.3f} times as much as in {options.before}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
