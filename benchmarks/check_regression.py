"""Whether a message still costs what it should: processor time per delivery, beside the floor in the same minute.

`make check` runs it. A ratio of two processes on one machine is stable where times are not, and the best of a few
rounds is what they cost when nobody disturbed them. The limits leave room for a noisy machine, and none for a task
switch per delivery: `--server obvious` shows what becomes of that. It ends with status 1 if a limit is passed.
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
    """Some work, and how many times the floor it may cost."""

    what: str
    times_floor: float
    load: Load


LIMITS = (
    # Each copy is a send of its own here, which the floor has to pay as well: at present about 1.3 times the floor.
    Limit("100 messages, one by one, to 300 clients", 2.0, Load(300, messages=100, rate=150, seconds=3)),
    # Batches: a send is shared by many messages, and what a message itself costs shows. At present 1.1 to 1.5 times,
    # and 2 on another machine.
    Limit("a room of 100, saturated", 4.0, Load(100, senders=10, messages=10_000, window=64, seconds=1)),
)


def check(server: Server, limit: Limit) -> bool:
    """Measure, again if it was too much, and tell the best; return whether that is within the limit."""
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
        print(f"what a message costs was not checked: {problem}")
        return 0
    except CannotTell as problem:
        print(f"what a message costs cannot be told: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
