"""The database under a storage: what it keeps, and what it says of a disk or a file that is not as it has to be."""

import gc
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk_kit import disk_full_at
from process_kit import is_root

from trichat import StorageError, TrichatError
from trichat._plugins.sqlite_store import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "poll" / "storage.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


def test_nothing_is_on_the_disk_before_it_is_used(database: Database, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    assert database.get("tea") is None
    assert database.path.exists()


def test_a_key_has_the_value_that_it_was_given_last(database: Database) -> None:
    database.set("tea", b"1")
    database.set("tea", b"2")
    assert database.get("tea") == b"2"


def test_what_was_set_is_there_when_it_is_opened_again(database: Database, path: Path) -> None:
    database.set("tea", b"1")
    database.close()
    assert database.get("tea") == b"1"
    other = Database(path)
    assert other.get("tea") == b"1"
    other.close()


def test_a_key_that_was_deleted_is_gone_and_one_that_is_not_there_does_not_matter(database: Database) -> None:
    database.set("tea", b"1")
    database.delete("tea")
    database.delete("coffee")
    assert database.get("tea") is None


def test_items_are_in_the_order_of_their_keys(database: Database) -> None:
    for key in ("tea", "", "coffee", "ärger", "it's; --"):
        database.set(key, key.encode())
    assert database.items() == [(key, key.encode()) for key in ("", "coffee", "it's; --", "tea", "ärger")]


def test_closing_it_may_be_repeated(database: Database) -> None:
    database.get("tea")
    database.close()
    database.close()


def test_what_nobody_holds_any_more_is_closed(path: Path) -> None:
    database = Database(path)
    database.set("tea", b"1")
    del database
    gc.collect()
    assert not [each for each in Path("/proc/self/fd").iterdir() if os.path.realpath(each) == str(path)]


def test_the_folder_is_for_nobody_else(database: Database, path: Path) -> None:
    database.set("tea", b"1")
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_named_with_what_to_do(database: Database, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("tea: 1\n" * 1000)
    with pytest.raises(StorageError) as caught:
        database.get("tea")
    assert str(caught.value) == f"{path}: file is not a database; move it away to start with an empty one"


def test_a_damaged_file_is_named_with_what_to_do(database: Database, path: Path) -> None:
    for number in range(1000):
        database.set(f"tea {number}", bytes(100))
    database.close()
    path.write_bytes(path.read_bytes()[:4096] + bytes(100_000))
    with pytest.raises(StorageError, match=r"malformed; move it away to start with an empty one$"):
        database.items()


def test_in_place_of_a_damaged_file_that_was_moved_away_a_new_one_begins(database: Database, path: Path) -> None:
    for number in range(1000):
        database.set(f"tea {number}", bytes(100))
    database.close()
    path.write_bytes(path.read_bytes()[:4096] + bytes(100_000))
    with pytest.raises(StorageError, match="move it away to start with an empty one"):
        database.items()
    path.rename(path.with_name("broken"))
    database.set("tea", b"1")
    assert database.items() == [("tea", b"1")]
    assert path.exists()


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(database: Database, path: Path) -> None:
    database.set("tea", b"1")
    with disk_full_at(path.stat().st_size), pytest.raises(StorageError, match=r"storage\.sqlite3: "):
        database.set("tea", bytes(100_000))
    assert database.get("tea") == b"1"
    database.set("tea", b"2")
    assert database.get("tea") == b"2"


def test_another_process_that_holds_the_file_is_told_of(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._plugins.sqlite_store.BUSY_TIMEOUT", 0.0)
    database.set("tea", b"1")
    database.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="database is locked; another process is using it"):
        database.set("tea", b"2")
    other.close()


@pytest.mark.skipif(is_root(), reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"poll: Permission denied$"):
        Database(tmp_path / "poll" / "storage.sqlite3").get("tea")


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "poll").write_text("")
    with pytest.raises(StorageError, match=r"poll: File exists$"):
        Database(tmp_path / "poll" / "storage.sqlite3").get("tea")


def test_the_error_is_one_of_the_world_and_not_of_the_code() -> None:
    assert issubclass(StorageError, OSError)
    assert issubclass(StorageError, TrichatError)
