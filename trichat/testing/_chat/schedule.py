"""The order in which Trio lets tasks go on, made repeatable by a seed.

Trio shuffles what is ready to run, so that nobody relies on an order. It registers the source of that chance with
hypothesis, and takes nothing else into account from then on: that is its one published way to repeat a schedule.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType, SimpleNamespace
from typing import cast


@contextmanager
def schedule(seed: int) -> Iterator[None]:
    """Let Trio run inside in the one order that belongs to `seed`, and `random` give its one sequence.

    From the first use on, Trio orders the tasks of the whole process by that chance alone.
    """
    chance = _chance_of_trio()
    before, before_of_all = chance.getstate(), random.getstate()
    chance.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        chance.setstate(before)
        random.setstate(before_of_all)


@cache
def _chance_of_trio() -> random.Random:
    registered: list[random.Random] = []
    (setup,) = entry_points(group="hypothesis", name="trio")
    real = sys.modules.pop("hypothesis", None)
    # It takes longer to import than ten runs, and is not needed for this.
    sys.modules["hypothesis"] = cast(ModuleType, SimpleNamespace(register_random=registered.append))
    try:
        setup.load()()
    finally:
        del sys.modules["hypothesis"]
        if real is not None:
            sys.modules["hypothesis"] = real
    return registered[0]
