"""The errors that the server logs during a run, each with the exception and the line that raised it."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from trichat._base.code_location import owner_of, shown_line


@contextmanager
def failures_logged(failures: list[str]) -> Iterator[None]:
    """Add the errors that the server logs to `failures`, and keep its log from the terminal for hundreds of runs."""
    handler = _Failures(failures)
    logger = logging.getLogger("trichat")
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class _Failures(logging.Handler):
    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        origin = "" if error is None else f"\n  {raised_at(error)}"
        self._failures.append(f"{record.getMessage()}{origin}")


def raised_at(error: BaseException) -> str:
    """Return the type of an error, and the innermost line of its traceback that is not in Trio or Python."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if owner_of(frame.f_code.co_filename) not in ("python", "trio")
    ]
    if not places:
        return type(error).__name__
    code, line = places[-1]
    return f"{type(error).__name__} at {shown_line(code.co_filename, line, code.co_qualname)}"
