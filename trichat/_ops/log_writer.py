"""The log of `trichat serve`, written by a thread: a terminal may be halted (Ctrl-S), a pipe have nobody who reads it.

Whoever logs waits for neither. So many lines wait instead; those that come then are dropped, and counted.
"""

import logging
import os
import select
import threading
import traceback
from contextlib import suppress
from queue import SimpleQueue

# Lines that may wait to be written: more than are logged before the thread has its turn, however busy the server is.
WAITING = 10_000

# Seconds that they have at the end.
PATIENCE = 1.0


class LogThread(logging.Handler):
    """Writes lines to a descriptor, and not to `sys.stderr`, whose lock others may need, be it at the end of Python."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        # This kind of queue has no lock that a finalizer could wait for which logs in the middle of `put`.
        self._lines: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        """And whoever waits for those before it; `None` is the end."""
        self._missing = 0
        """How many were dropped since the last one that was not."""
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= WAITING:
            self._missing += 1
            return
        self._tell_what_is_missing()
        try:
            line = self.format(record)
        except Exception:
            line = f"{record.pathname}:{record.lineno}: this line of the log cannot be made\n{traceback.format_exc()}"
        self._lines.put(line)

    def flush(self) -> None:
        """Wait until all that was logged is written, for a second at most."""
        self._tell_what_is_missing()
        done = threading.Event()
        self._lines.put(done)
        done.wait(PATIENCE)

    def close(self) -> None:
        """Let the thread end, when it has written what there is. Nothing that is logged later is written."""
        self._lines.put(None)
        super().close()

    def _tell_what_is_missing(self) -> None:
        if self._missing:
            self._lines.put(f"({self._missing} lines are missing here: nobody took those before them)")
            self._missing = 0

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if isinstance(line, threading.Event):
                line.set()
                continue
            # The reader has gone, or the disk is full: there is nowhere to say so.
            with suppress(OSError):
                self._write(f"{line}\n".encode(errors="backslashreplace"))

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                # Whoever shares the terminal may have made it so.
                select.select([], [self._descriptor], [])
