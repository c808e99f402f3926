"""Watches the event loop from a thread, to find code that keeps the loop from running anything else.

No task could do that: while such code runs, no task does.
"""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

# Seconds that code may run without a checkpoint. In a chat with a hundred people, each of them waits that long.
LONGEST = 0.2

Stack = Sequence[FrameType]
"""The frames of the loop's thread, the innermost first."""


class LoopObserver(ABC):
    """Looks at the loop's stack every `period` seconds, and reports each activity that takes longer than `LONGEST`.

    Subclasses say what an activity is, and what a report does. Their methods are called in the observer's thread, with
    a stack that the loop may change as soon as they do something slow, such as reading a file.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._activity: object = None
        """What the loop was busy with at the last look."""
        self._since = 0.0
        """When that was seen first, by `time.perf_counter`."""
        self._is_reported = False
        self._done = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for as long as the block runs. Enter it once, in the thread of the loop."""
        thread = threading.Thread(
            target=self._look_repeatedly, args=[threading.get_ident()], name="loop observer", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    @abstractmethod
    def identify(self, stack: Stack) -> object:
        """Return what the loop is busy with: equal values for the same activity, `None` for nothing of interest."""

    def begin(self) -> None:  # noqa: B027 - not every subclass needs it
        """Note that a new activity was seen for the first time."""

    @abstractmethod
    def report(self, stack: Stack) -> None:
        """Report the activity. Called once for each."""

    def _look_repeatedly(self, loop: int) -> None:
        while not self._done.wait(self._period):
            self._look(loop)

    def _look(self, loop: int) -> None:
        stack = _stack_of(loop)
        activity = self.identify(stack)
        now = time.perf_counter()
        if activity is None or activity != self._activity:
            self._activity, self._since, self._is_reported = activity, now, False
            if activity is not None:
                self.begin()
        elif not self._is_reported and now - self._since > LONGEST:
            self._is_reported = True
            self.report(stack)


def frames_of(files: Container[str], stack: Stack) -> Stack:
    """Return the frames whose code is in one of the files."""
    return [frame for frame in stack if frame.f_code.co_filename in files]


def _stack_of(thread: int) -> Stack:
    stack: list[FrameType] = []
    frame = sys._current_frames().get(thread)
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    return stack
