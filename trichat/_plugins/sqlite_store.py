"""Keys and values in a SQLite file. This module blocks, knows nothing of Trio, and is the only one that knows SQLite.

A value is bytes. Each call is a transaction of its own: SQLite has it on the disk before the call returns.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trichat._base.errors import StorageError

if TYPE_CHECKING:
    import sqlite3

# Seconds to wait for another process that uses the file. Normally there is none.
BUSY_TIMEOUT = 1.0

# What to do about an error, where SQLite's own words do not say it.
_ADVICE = {
    "SQLITE_BUSY": "another process is using it",
    "SQLITE_CORRUPT": "move it away to start with an empty one",
    "SQLITE_NOTADB": "move it away to start with an empty one",
}

# The number of the layout below. SQLite keeps it in the file.
_LAYOUT = 1

# Turns an empty file, or one of version 0.1, into the layout.
_TO_LAYOUT = (
    # The layout of version 0.1. Its number is 0, as that of an empty file.
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "ALTER TABLE entries RENAME TO entries_without_versions",
    # Each row that is written gets a new number, its version. AUTOINCREMENT: even that of a deleted row never returns.
    "CREATE TABLE entries (key TEXT NOT NULL UNIQUE, value BLOB, version INTEGER PRIMARY KEY AUTOINCREMENT)",
    "INSERT INTO entries (key, value) SELECT key, value FROM entries_without_versions",
    "DROP TABLE entries_without_versions",
    f"PRAGMA user_version = {_LAYOUT}",
)


class Database:
    """A database file. It is opened on first use. It is created when something is written, not when it is only read.

    Each value has a version, an integer above 0. No two values that a file ever had share one, even after a deletion.
    The version of a key that does not exist is 0.

    Any thread may use it, but only one at a time. A method that fails raises `StorageError`, and has changed nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def __del__(self) -> None:
        # If the disk hangs, an abandoned worker thread may still use the file. The last holder closes it.
        self.close()

    def get(self, key: str) -> tuple[bytes | None, int]:
        """Return the value of a key and its version, or `None` and 0."""
        if not self._exists():
            return None, 0
        with self._connected() as connection:
            return _get(connection, key)

    def set(self, key: str, value: bytes | None) -> None:
        """Set the value of a key, replacing its previous one. `None` removes the key, if it is there."""
        with self._transaction() as connection:
            _set(connection, key, value)

    def compare_and_set(self, key: str, value: bytes | None, expected: int) -> bool:
        """Do what `set` does if the version of the key is the expected one. Return whether it is."""
        with self._transaction() as connection:
            _, version = _get(connection, key)
            if version == expected:
                _set(connection, key, value)
            return version == expected

    def items(self) -> list[tuple[str, bytes]]:
        """Return all keys with their values, in the order of the keys."""
        if not self._exists():
            return []
        with self._connected() as connection:
            return connection.execute("SELECT key, value FROM entries ORDER BY key").fetchall()

    def _exists(self) -> bool:
        """Return whether there is a file. Whatever else is wrong with the path is found when it is opened."""
        if self._connection is None:
            try:
                self.path.stat()
            except FileNotFoundError:
                return False
            except OSError:
                pass
        return True

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

    @contextmanager
    def _connected(self) -> "Iterator[sqlite3.Connection]":
        """Open the file if it is not open, and raise SQLite's errors in the block as `StorageError`."""
        import sqlite3  # not before there is something to keep: most servers do not need it

        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except sqlite3.Error as error:
            # The next call opens the file that is there by then: somebody may have moved a broken one away.
            with suppress(sqlite3.Error):
                self.close()
            advice = _ADVICE.get(getattr(error, "sqlite_errorname", ""), "")
            raise StorageError(f"{self.path}: {error}{'; ' if advice else ''}{advice}") from None

    @contextmanager
    def _transaction(self) -> "Iterator[sqlite3.Connection]":
        with self._connected() as connection, _transaction(connection):
            yield connection

    def _open(self) -> "sqlite3.Connection":
        self.folder_made()
        import sqlite3

        # The caller lets only one thread in at a time, but not always the same one.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            _lay_out(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _get(connection: "sqlite3.Connection", key: str) -> tuple[bytes | None, int]:
    rows = connection.execute("SELECT value, version FROM entries WHERE key = ?", (key,)).fetchall()
    return rows[0] if rows else (None, 0)


def _set(connection: "sqlite3.Connection", key: str, value: bytes | None) -> None:
    if value is None:
        connection.execute("DELETE FROM entries WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)", (key, value))


@contextmanager
def _transaction(connection: "sqlite3.Connection") -> Iterator[None]:
    """Do what the block does as a whole or, if it raises, not at all. Nobody else writes meanwhile."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def _lay_out(connection: "sqlite3.Connection") -> None:
    if not _is_laid_out(connection):
        with _transaction(connection):
            if not _is_laid_out(connection):  # another process may have been faster
                for statement in _TO_LAYOUT:
                    connection.execute(statement)


def _is_laid_out(connection: "sqlite3.Connection") -> bool:
    [layout] = connection.execute("PRAGMA user_version").fetchone()
    return bool(layout >= _LAYOUT)
