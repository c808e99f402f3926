"""Finds code of one file that keeps Trio's loop from running anything else."""

from typing import NamedTuple

import trio
from trio.lowlevel import Task

from trichat._base.code_location import shown_line
from trichat._base.loop_observer import LoopObserver, Stack, frames_of

# Seconds between two looks. A step that is too long by less than this may not be found.
PERIOD = 0.01


class Block(NamedTuple):
    """A step of a task that took too long."""

    task: str
    place: str
    """The innermost line of the file, in the form that reports use."""


class BlockFinder(LoopObserver, trio.abc.Instrument):
    """An instrument for one `trio.run`. Inside `watching`, `blocks` gets each step that blocks the loop in `file`.

    A step is what a task does from one checkpoint to the next.
    """

    def __init__(self, file: str) -> None:
        super().__init__(PERIOD)
        self.blocks: list[Block] = []
        self._files = {file}
        self._steps = 0
        self._task: Task | None = None
        """The task that is taking a step now."""

    def before_task_step(self, task: Task) -> None:
        self._steps += 1
        self._task = task

    def after_task_step(self, task: Task) -> None:  # noqa: ARG002
        self._task = None

    def identify(self, stack: Stack) -> object:  # noqa: ARG002
        """Return the number of the step, or `None` between two steps."""
        return None if self._task is None else self._steps

    def report(self, stack: Stack) -> None:
        """Note the step, if it is running code of the file."""
        task, own = self._task, frames_of(self._files, stack)
        if task is not None and own:
            code, line = own[0].f_code, own[0].f_lineno
            self.blocks.append(Block(task.name, shown_line(code.co_filename, line, code.co_qualname)))
