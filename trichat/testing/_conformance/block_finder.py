"""Finds code that keeps Trio's loop from going on: a thread looks at each step that takes long, while it does."""

import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

import trio
from trio.lowlevel import Task

# Seconds that a step may take: in a chat with a hundred people, each of them waits as long.
LONGEST_STEP = 0.2


class Block(NamedTuple):
    """A step that took too long."""

    task: str
    stack: tuple[traceback.FrameSummary, ...]
    """Where it was, the innermost call last."""

    def is_in(self, file: str) -> bool:
        """Whether code of this file was at work."""
        return any(frame.filename == file for frame in self.stack)

    def describe(self, file: str) -> str:
        """Say where in `file` it was."""
        frame = [frame for frame in self.stack if frame.filename == file][-1]
        return f"line {frame.lineno} in {frame.name}, for more than {LONGEST_STEP:g} s: {frame.line}"


class BlockFinder(trio.abc.Instrument):
    """An instrument for a `trio.run`; inside `watching`, each step that takes too long is noted in `blocks`."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._task: Task | None = None
        self._since = 0.0
        self._noted = False
        self._done = threading.Event()
        self._runner = threading.get_ident()

    def before_task_step(self, task: Task) -> None:
        self._since = time.perf_counter()
        self._noted = False
        self._task = task

    def after_task_step(self, task: Task) -> None:  # noqa: ARG002
        self._task = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look from another thread, as long as the block takes."""
        self._runner = threading.get_ident()
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _look(self) -> None:
        while not self._done.wait(LONGEST_STEP / 4):
            task, since = self._task, self._since
            if task is not None and not self._noted and time.perf_counter() - since > LONGEST_STEP:
                self._noted = True
                frame: FrameType | None = sys._current_frames().get(self._runner)
                if frame is not None:
                    self.blocks.append(Block(task.name, tuple(traceback.extract_stack(frame))))
