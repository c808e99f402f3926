"""Temporary folders for the files of one run."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

# Linux keeps the files of this folder in memory, so a busy disk does not slow the runs down.
_MEMORY = Path("/dev/shm")


def scratch() -> TemporaryDirectory[str]:
    """Return a new folder that is removed after the `with` block. It is in memory if the system supports that."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
    return TemporaryDirectory(prefix="trichat-", dir=place, ignore_cleanup_errors=True)
