"""Makes the order in which Trio runs tasks repeatable, by a seed.

Trio shuffles the tasks that are ready to run, so that nobody relies on an order. It registers its source of randomness
with hypothesis, and from then on nothing else determines the order. That is its one published way to repeat a schedule.
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
    """Inside the block, let `seed` determine the order in which Trio runs tasks, and what `random` returns.

    From the first use on, the order of tasks in the whole process depends on that source of randomness alone.
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
    # Importing hypothesis takes longer than ten runs, and Trio needs only this function of it.
    sys.modules["hypothesis"] = cast(ModuleType, SimpleNamespace(register_random=registered.append))
    try:
        setup.load()()
    finally:
        del sys.modules["hypothesis"]
        if real is not None:
            sys.modules["hypothesis"] = real
    return registered[0]
