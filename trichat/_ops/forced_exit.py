"""Ends the process when a stop takes too long.

No deadline helps against a plugin that never returns, or that shields itself from cancellation. Without this module,
somebody would have to find the process and kill it.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from queue import Empty, SimpleQueue

logger = logging.getLogger("trichat")

# Seconds beyond the time limit of a stop, for a slow machine.
SPARE = 5.0

# Seconds that writing the log line about it may take.
LOG_TIMEOUT = 1.0


class ForcedExit:
    """Ends the process with status 1 when a stop takes longer than `limit` seconds and some more."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        # The queue gets two items: the stop has begun, and it is over. A signal handler may interrupt any code. Putting
        # into this kind of queue and taking the next number are safe there; other ways to notify a thread are not.
        self._events: SimpleQueue[None] = SimpleQueue()
        self._times_armed = count()
        self._thread = threading.Thread(target=self._watch, name="forced exit", daemon=True)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Watch for a stop in the block. Leaving the block ends the watch."""
        self._thread.start()
        try:
            yield
        finally:
            self.arm()
            self._events.put(None)

    def arm(self) -> None:
        """Note that the stop has begun. It is safe to repeat this, and to call it in a signal handler."""
        if next(self._times_armed) == 0:
            self._events.put(None)

    def _watch(self) -> None:
        self._events.get()
        try:
            self._events.get(timeout=self._limit + SPARE)
        except Empty:
            self._end()

    def _end(self) -> None:
        try:
            # The code that hangs may hold a lock of the log, or nothing may read the log. So another thread writes to
            # it, and this one does not wait for long.
            saying = threading.Thread(target=self._say, daemon=True)
            saying.start()
            saying.join(LOG_TIMEOUT)
        finally:
            os._exit(1)

    def _say(self) -> None:
        logger.critical(
            "the stop did not finish within shutdown_timeout (%g s) and %g s more; ending the process",
            self._limit,
            SPARE,
        )
        logging.shutdown()
