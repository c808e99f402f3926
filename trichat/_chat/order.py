"""The one order: every message gets its place in it here.

This is a seam. With several nodes, the order will come from a stream that they share: nothing outside this module
decides which id comes next. That an id is a time in microseconds is known elsewhere, too: `Message.time` and the lines
of the chat log are derived from it.
"""

import time


class Order:
    """Ids that strictly increase: the time in microseconds or, where the clock stood still or went back, one more.

    The order survives restarts without a counter in a file: the dates in the log are the ids.
    """

    def __init__(self) -> None:
        self.last = 0
        """The id that was given last; the next one is greater."""

    def resume_after(self, id: int) -> None:
        """Continue after `id`, the last message of an earlier run."""
        self.last = max(self.last, id)

    def take(self, count: int) -> int:
        """Take `count` consecutive ids, at least one, and return the first."""
        first = max(time.time_ns() // 1000, self.last + 1)
        self.last = first + count - 1
        return first
