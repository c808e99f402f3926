"""Ends the process when a stop takes too long.

No deadline helps against a plugin that never returns, or that shields itself from cancellation. Whoever stops a server
must not have to look for its process.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from queue import Empty, SimpleQueue

logger = logging.getLogger("trichat")

# Seconds beyond the time limit of a stop, for a machine that is slow.
SPARE = 5.0

# Seconds that the log may take to say so.
LOG_TIMEOUT = 1.0


class ForcedExit:
    """Ends the process with status 1 when a stop takes longer than `limit` seconds and some more."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        # Two items: the stop has begun, and it is over. A signal handler may have interrupted anything: there it is
        # safe to put something into this queue and to take the next number, and nothing else that tells a thread.
        self._events: SimpleQueue[None] = SimpleQueue()
        self._times_armed = count()
        self._thread = threading.Thread(target=self._watch, name="forced exit", daemon=True)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Hold it ready in the block; after it there is nothing left to end."""
        self._thread.start()
        try:
            yield
        finally:
            self.arm()
            self._events.put(None)

    def arm(self) -> None:
        """Note that the stop has begun. Safe to repeat, and to call where nothing else works: in a signal handler."""
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
            # Whatever hangs may have a lock of the log in its hands, and the log may have nobody who reads it.
            saying = threading.Thread(target=self._say, daemon=True)
            saying.start()
            saying.join(LOG_TIMEOUT)
        finally:
            os._exit(1)

    def _say(self) -> None:
        logger.critical(
            "the stop has not come to its end within shutdown_timeout (%g s) and %g s more; the process is ended",
            self._limit,
            SPARE,
        )
        logging.shutdown()
