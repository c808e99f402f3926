"""Check that a message still costs what it should: processor time per delivery, compared with the floor.

`make check` runs it. Both servers run in the same minute: the ratio of two processes on one machine is stable even if
times are not. The best of a few rounds is the cost without disturbance. The limits leave room for a noisy machine, but
not for a task switch per delivery, which `--server obvious` has. The exit status is 1 if a limit is exceeded.
"""

import argparse
import sys
from dataclasses import dataclass

from bench.build import NoCompiler, build
from bench.load import Load
from bench.measure import CannotTell, measure
from bench.rows import Row
from bench.servers import FLOOR, OURS, TRICHAT, Server

ROUNDS = 3


@dataclass(frozen=True)
class Limit:
    """Some work, and its limit as a multiple of the floor."""

    what: str
    times_floor: float
    load: Load


LIMITS = (
    # Each copy is a send of its own here, for the floor as well: at present about 1.3 times the floor.
    Limit("100 messages, one by one, to 300 clients", 2.0, Load(300, messages=100, rate=150, seconds=3)),
    # With batches, many messages share a send, so the cost of a message itself shows. At present 1.1 to 1.5 times the
    # floor, and 2 times on another machine.
    Limit("a room of 100, saturated", 4.0, Load(100, senders=10, messages=10_000, window=64, seconds=1)),
)


def check(server: Server, limit: Limit) -> bool:
    """Measure, again if it was too much; print the best ratio, and return whether it is within the limit."""
    row = Row("regression", limit.what, limit.load, (FLOOR, server.name), ("cpu",))
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for each in (OURS[FLOOR], server):
            best[each.name] = min(measure(row, each).cost(each.name), best.get(each.name, float("inf")))
        ratio = best[server.name] / best[FLOOR]
        if ratio <= limit.times_floor:
            break
    within = ratio <= limit.times_floor
    print(
        f"{limit.what}: {best[server.name] * 1e6:.2f} µs of CPU per delivery, {ratio:.2f} times the floor "
        f"({'at most' if within else 'TOO MUCH:'} {limit.times_floor:g})",
        flush=True,
    )
    return within


def main() -> int:
    """Check all limits, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=OURS, default=TRICHAT)
    server = OURS[parser.parse_args().server]
    try:
        for program in ("load", "floor"):
            build(program)
        within = [check(server, limit) for limit in LIMITS]
        return 0 if all(within) else 1
    except NoCompiler as problem:
        print(f"skipped the check of the cost of a message: {problem}")
        return 0
    except CannotTell as problem:
        print(f"cannot measure the cost of a message: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
