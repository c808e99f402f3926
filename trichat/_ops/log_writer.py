"""The log of `trichat serve`, written by a thread.

A terminal may be halted (Ctrl-S), and nothing may read from a pipe. Code that logs waits for neither: lines wait in a
queue for the thread. When the queue is full, further lines are dropped and counted.
"""

import logging
import os
import select
import threading
import traceback
from contextlib import suppress
from queue import SimpleQueue

# Lines that may wait to be written: more than a busy server logs before the thread gets its turn.
WAITING = 10_000

# Seconds that `flush` waits for them.
PATIENCE = 1.0


class LogThread(logging.Handler):
    """Writes lines to a descriptor.

    It does not write to `sys.stderr`, because a thread that hangs in there would keep its lock, which Python needs at
    exit.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        # `put` of this kind of queue is reentrant: a finalizer that runs in the middle of it may log, too.
        self._lines: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        """The lines; an event, which is set once all lines before it are written; `None` at the end."""
        self._missing = 0
        """The number of lines dropped since the last one that was queued."""
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= WAITING:
            self._missing += 1
            return
        self._tell_what_is_missing()
        try:
            line = self.format(record)
        except Exception:
            line = f"{record.pathname}:{record.lineno}: cannot format this log line\n{traceback.format_exc()}"
        self._lines.put(line)

    def flush(self) -> None:
        """Wait until everything logged so far is written, for at most a second."""
        self._tell_what_is_missing()
        done = threading.Event()
        self._lines.put(done)
        done.wait(PATIENCE)

    def close(self) -> None:
        """Let the thread end once it has written the lines so far. It does not write anything logged later."""
        self._lines.put(None)
        super().close()

    def _tell_what_is_missing(self) -> None:
        if self._missing:
            self._lines.put(f"({self._missing} lines are missing here: the log was read too slowly)")
            self._missing = 0

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if isinstance(line, threading.Event):
                line.set()
                continue
            # The reader is gone, or the disk is full. There is no place left to report that.
            with suppress(OSError):
                self._write(f"{line}\n".encode(errors="backslashreplace"))

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                # Another process that shares the terminal may have made it non-blocking.
                select.select([], [self._descriptor], [])
