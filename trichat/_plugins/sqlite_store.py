"""Keys and values in a SQLite file. This module blocks, knows nothing of Trio, and is the only one that knows SQLite.

A value is bytes. Each statement is a transaction of its own: SQLite has it on the disk before the call returns.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from trichat._base.errors import StorageError

# Seconds to wait for another process that uses the file. Normally there is none.
BUSY_TIMEOUT = 1.0

# What to do about an error, where SQLite's own words do not say it.
_ADVICE = {
    "SQLITE_BUSY": "another process is using it",
    "SQLITE_CORRUPT": "move it away to start with an empty one",
    "SQLITE_NOTADB": "move it away to start with an empty one",
}


class Database:
    """A database file. It is opened on first use, and created if it does not exist.

    Any thread may use it, but only one at a time. A method that fails raises `StorageError`, and has changed nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def __del__(self) -> None:
        # If the disk hangs, an abandoned worker thread may still use the file. The last holder closes it.
        self.close()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or `None`."""
        rows = self._execute("SELECT key, value FROM entries WHERE key = ?", key)
        return rows[0][1] if rows else None

    def set(self, key: str, value: bytes) -> None:
        """Set the value of a key, replacing its previous one."""
        self._execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", key, value)

    def delete(self, key: str) -> None:
        """Remove a key, if it is there."""
        self._execute("DELETE FROM entries WHERE key = ?", key)

    def items(self) -> list[tuple[str, bytes]]:
        """Return all keys with their values, in the order of the keys."""
        return self._execute("SELECT key, value FROM entries ORDER BY key")

    def close(self) -> None:
        """Close the file. Safe to repeat."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def folder_made(self) -> Path:
        """Return the folder of the file. If it does not exist, create it, with access for nobody else."""
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder}: {error.strerror}") from None
        return folder

    def _execute(self, statement: str, *arguments: str | bytes) -> list[tuple[str, bytes]]:
        try:
            if self._connection is None:
                self._connection = self._open()
            return self._connection.execute(statement, arguments).fetchall()
        except sqlite3.Error as error:
            # The next call opens the file that is there by then: somebody may have moved a broken one away.
            with suppress(sqlite3.Error):
                self.close()
            advice = _ADVICE.get(getattr(error, "sqlite_errorname", ""), "")
            raise StorageError(f"{self.path}: {error}{'; ' if advice else ''}{advice}") from None

    def _open(self) -> sqlite3.Connection:
        self.folder_made()
        # The caller lets only one thread in at a time, but not always the same one.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
        except BaseException:
            connection.close()
            raise
        return connection
