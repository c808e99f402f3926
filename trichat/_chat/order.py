"""The sequencer gives every message its place in the one order.

It is a seam: with several nodes the order will come from a stream that they share, and this is the only place that
knows where an id comes from.
"""

import time


class Sequencer:
    """Ids that strictly increase: the time in microseconds or, where the clock stood still or went back, one more.

    The order thus survives a restart without a counter in a file: the log's dates are the ids.
    """

    def __init__(self) -> None:
        self.last = 0
        """The id that was given last; what comes next is greater."""

    def resume_after(self, id: int) -> None:
        """Go on after `id`, the last message of an earlier run."""
        self.last = max(self.last, id)

    def take(self, count: int) -> int:
        """Take so many ids that follow each other, at least one, and return the first."""
        first = max(time.time_ns() // 1000, self.last + 1)
        self.last = first + count - 1
        return first
