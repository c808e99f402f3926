"""Folders for the files of one run."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

# Where Linux keeps files in memory: a disk that is busy would make every run slower, and tell nothing about the chat.
_MEMORY = Path("/dev/shm")


def scratch() -> TemporaryDirectory[str]:
    """Return a new folder that is gone after the `with` block, in memory where the system has such a place."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
    return TemporaryDirectory(prefix="trichat-", dir=place, ignore_cleanup_errors=True)
