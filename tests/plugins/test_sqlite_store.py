"""The database under a storage: what it keeps, and what it says of a disk or a file that is not as it has to be."""

import gc
import os
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from disk_kit import disk_full_at
from process_kit import is_root

from trichat import StorageError, TrichatError
from trichat._plugins import sqlite_store
from trichat._plugins.sqlite_store import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "poll" / "storage.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


def value_of(database: Database, key: str) -> bytes | None:
    return database.get(key)[0]


# What it keeps.


def test_nothing_is_on_the_disk_before_something_is_written(database: Database, tmp_path: Path) -> None:
    assert database.get("tea") == (None, 0)
    assert database.items() == []
    assert list(tmp_path.iterdir()) == []
    database.set("tea", b"1")
    assert database.path.exists()


def test_a_key_has_the_value_that_it_was_given_last(database: Database) -> None:
    database.set("tea", b"1")
    database.set("tea", b"2")
    assert value_of(database, "tea") == b"2"


def test_what_was_set_is_there_when_it_is_opened_again(database: Database, path: Path) -> None:
    database.set("tea", b"1")
    before = database.get("tea")
    database.close()
    assert database.get("tea") == before
    other = Database(path)
    assert other.get("tea") == before
    other.close()


def test_a_key_that_was_deleted_is_gone_and_one_that_is_not_there_does_not_matter(database: Database) -> None:
    database.set("tea", b"1")
    database.set("tea", None)
    database.set("coffee", None)
    assert database.get("tea") == (None, 0)
    assert database.items() == []


def test_items_are_in_the_order_of_their_keys(database: Database) -> None:
    for key in ("tea", "", "coffee", "ärger", "it's; --"):
        database.set(key, key.encode())
    assert database.items() == [(key, key.encode()) for key in ("", "coffee", "it's; --", "tea", "ärger")]


# Versions.


def test_each_write_of_any_key_gives_a_version_that_there_never_was(database: Database) -> None:
    versions = []
    for number in range(3):
        for key in ("tea", "coffee"):
            database.set(key, b"1")
            versions.append(database.get(key)[1])
            if number == 1:
                database.set(key, None)
                database.close()
    assert versions == sorted(set(versions))
    assert versions[0] > 0


def test_other_keys_keep_their_versions(database: Database) -> None:
    database.set("tea", b"1")
    before = database.get("tea")
    database.set("coffee", b"1")
    database.set("coffee", None)
    assert database.get("tea") == before


def test_a_value_is_set_only_if_its_version_is_the_expected_one(database: Database) -> None:
    assert database.compare_and_set("tea", b"1", 0)
    _, version = database.get("tea")
    for wrong in (0, version + 1, -1):
        assert not database.compare_and_set("tea", b"2", wrong)
    assert database.get("tea") == (b"1", version)
    assert database.compare_and_set("tea", b"2", version)
    assert not database.compare_and_set("tea", b"3", version)
    assert value_of(database, "tea") == b"2"


def test_a_key_is_deleted_only_if_its_version_is_the_expected_one(database: Database) -> None:
    assert database.compare_and_set("tea", None, 0), "it does not exist, as expected"
    assert not database.compare_and_set("tea", None, 1)
    database.set("tea", b"1")
    _, version = database.get("tea")
    assert not database.compare_and_set("tea", None, 0)
    assert database.compare_and_set("tea", None, version)
    assert database.get("tea") == (None, 0)


def test_a_key_that_was_deleted_and_made_again_is_another(database: Database) -> None:
    database.set("tea", b"1")
    _, version = database.get("tea")
    database.set("tea", None)
    database.close()
    database.set("tea", b"1")
    assert not database.compare_and_set("tea", b"2", version)


# The layout of version 0.1.

OLD = [("coffee", b'"black"'), ("tea", b"1")]


@pytest.fixture
def old_path(path: Path) -> Path:
    """A database that version 0.1 made, with two values."""
    path.parent.mkdir(parents=True)
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    for key, value in OLD:
        old.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, value))
    old.close()
    return path


def test_a_database_of_version_0_1_keeps_its_values_and_gets_versions(old_path: Path, database: Database) -> None:
    assert database.items() == OLD
    versions = {key: database.get(key)[1] for key, _ in OLD}
    assert 0 not in versions.values()
    database.close()
    assert {key: database.get(key)[1] for key, _ in OLD} == versions, "it is changed only once"
    assert database.compare_and_set("tea", b"2", versions["tea"])
    assert not database.compare_and_set("tea", b"3", versions["tea"])


def test_an_empty_database_of_version_0_1_is_one_too(old_path: Path, database: Database) -> None:
    with sqlite3.connect(old_path) as old:
        old.execute("DELETE FROM entries")
    old.close()
    assert database.items() == []
    assert database.compare_and_set("tea", b"1", 0)


def test_an_old_database_that_cannot_be_changed_stays_as_it_is(old_path: Path, database: Database) -> None:
    before = old_path.read_bytes()
    with disk_full_at(len(before)), pytest.raises(StorageError, match=r"storage\.sqlite3: "):
        database.get("tea")
    assert old_path.read_bytes() == before
    assert database.items() == OLD


def test_of_two_servers_that_open_an_old_database_at_once_one_changes_it(
    old_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(old_path)
    look = sqlite_store._is_laid_out
    looks: list[bool] = []

    def look_and_be_overtaken(connection: sqlite3.Connection) -> bool:
        looks.append(look(connection))
        if len(looks) == 1:
            assert other.compare_and_set("tea", b"2", other.get("tea")[1])
        return looks[-1]

    monkeypatch.setattr(sqlite_store, "_is_laid_out", look_and_be_overtaken)
    assert value_of(database, "tea") == b"2"
    # One look of the first, two of the other on its way, and one of the first after it has had to wait.
    assert looks == [False, False, False, True]
    other.close()


def test_its_columns_have_the_names_that_the_documentation_tells(database: Database, path: Path) -> None:
    database.set("tea", b"1")
    with sqlite3.connect(path) as reader:
        assert reader.execute("select key, value from entries").fetchall() == [("tea", b"1")]
    reader.close()


# The file and the disk.


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
    assert value_of(database, "tea") == b"1"
    database.set("tea", b"2")
    assert value_of(database, "tea") == b"2"


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


def test_what_another_process_keeps_from_being_committed_is_not_done(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._plugins.sqlite_store.BUSY_TIMEOUT", 0.0)
    database.set("tea", b"1")
    before = database.get("tea")
    database.close()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM entries").fetchall()
    for change in (partial(database.set, "tea", b"2"), partial(database.compare_and_set, "tea", b"2", before[1])):
        with pytest.raises(StorageError, match="database is locked; another process is using it"):
            change()
    reader.close()
    assert database.get("tea") == before


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
