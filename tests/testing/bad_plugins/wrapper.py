"""Measures how long the others take. Bad: trichat does not call wrappers."""

import time
from collections.abc import Generator

from trichat import hookimpl


class Stopwatch:
    def __init__(self) -> None:
        self.slowest = 0.0

    @hookimpl(wrapper=True)
    def on_message(self) -> Generator[None, object, object]:
        before = time.perf_counter()
        try:
            return (yield)
        finally:
            self.slowest = max(self.slowest, time.perf_counter() - before)
