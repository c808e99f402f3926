"""The storage of plugins: what it keeps, for how many tasks at once, and how it ends."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trichat import Client, Server, Storage, StorageError, Versioned, command, hookimpl
from trichat._base.task_tree import task_tree
from trichat._plugins.sqlite_store import Database
from trichat._plugins.storage import DISK_TIMEOUT, LONGEST_NAME, folder_name
from trichat.testing import Chat, Run, cancel_everywhere, explore, running


@dataclass
class Vote:
    name: str
    choice: str
    at: datetime


VOTE = Vote("alice", "tea", datetime(2026, 11, 22, 14, 36, tzinfo=UTC))


@pytest.fixture
async def storage(chat: Chat) -> Storage:
    return chat.server.storage("poll")


# 1. What it keeps


async def test_nothing_is_made_before_a_plugin_uses_it(chat: Chat) -> None:
    storage = chat.server.storage("poll")
    assert not (chat.folder / "trichat_data").exists()
    assert "storage poll" not in task_tree()
    await storage.set("tea", 1)
    assert (chat.folder / "trichat_data" / "poll" / "storage.sqlite3").exists()
    assert "storage poll  at" in task_tree()


@pytest.mark.parametrize("value", [0, 1.5, "tea", "", True, None, [1, [2]], {"a": {"b": []}}, "ünï ✓", 2**60])
async def test_a_value_comes_back_as_it_was(storage: Storage, value: object) -> None:
    await storage.set("key", value)
    assert await storage.get("key", "another") == value


async def test_a_value_comes_back_as_the_type_that_is_asked_for(storage: Storage) -> None:
    await storage.set("vote", VOTE)
    assert await storage.get("vote", type=Vote) == VOTE
    assert await storage.items(type=Vote) == {"vote": VOTE}
    assert await storage.get("vote") == {"name": "alice", "choice": "tea", "at": "2026-11-22T14:36:00Z"}


async def test_a_key_that_is_not_there_gives_the_default(storage: Storage) -> None:
    assert await storage.get("key") is None
    assert await storage.get("key", 7) == 7
    assert await storage.get("key", VOTE, type=Vote) is VOTE


async def test_items_are_all_keys_in_their_order_but_for_what_was_deleted(storage: Storage) -> None:
    for number, key in enumerate(("tea", "coffee", "cocoa")):
        await storage.set(key, number)
    await storage.delete("coffee")
    await storage.delete("nothing")
    assert list((await storage.items()).items()) == [("cocoa", 2), ("tea", 0)]


async def test_a_value_of_another_type_is_a_clear_error_and_stays(storage: Storage) -> None:
    await storage.set("vote", [1])
    with pytest.raises(StorageError, match=r"storage.sqlite3: the value of 'vote' is not of the expected type: Exp"):
        await storage.get("vote", type=Vote)
    assert await storage.get("vote") == [1]


async def test_what_json_cannot_hold_is_refused_and_changes_nothing(storage: Storage) -> None:
    await storage.set("key", 1)
    with pytest.raises(TypeError, match="objects of type module"):
        await storage.set("key", trio.socket)
    assert await storage.get("key") == 1


async def test_it_survives_a_restart(tmp_path: Path, virtual_time: object) -> None:
    for number in range(3):
        async with running(folder=tmp_path) as chat:
            storage = chat.server.storage("poll")
            assert await storage.get("count", 0) == number
            await storage.set("count", number + 1)


async def test_each_plugin_has_its_own_and_always_the_same(chat: Chat) -> None:
    poll, dice = chat.server.storage("poll"), chat.server.storage("dice")
    assert chat.server.storage("poll") is poll
    await poll.set("key", "of poll")
    await dice.set("key", "of dice")
    assert await poll.get("key") == "of poll"
    assert poll.folder != dice.folder


async def test_the_folder_is_for_files_of_the_plugins_own(chat: Chat) -> None:
    folder = chat.server.storage("poll").folder
    assert folder == chat.folder / "trichat_data" / "poll"
    (folder / "votes.txt").write_text("tea\n")


@pytest.mark.chat(config={"server": {"data_dir": "/dev/null/nowhere"}})
async def test_a_folder_that_cannot_be_made_is_one_clear_error(chat: Chat) -> None:
    storage = chat.server.storage("poll")
    with pytest.raises(StorageError, match=r"^/dev/null/nowhere/poll: Not a directory$"):
        await storage.set("key", 1)
    with pytest.raises(StorageError, match=r"^/dev/null/nowhere/poll: Not a directory$"):
        storage.folder.iterdir()


# 2. Names


@pytest.mark.parametrize(
    ("plugin", "folder"),
    [
        ("poll", "poll"),
        ("word_filter", "word_filter"),
        ("acme-chat", "acme-chat"),
        ("..", "%2E%2E"),
        ("../../etc", "%2E%2E%2F%2E%2E%2Fetc"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        ("nul\0", "nul%00"),
        ("umfrage für alle", "umfrage%20f%C3%BCr%20alle"),
    ],
)
def test_a_folder_has_the_name_of_its_plugin_made_safe(plugin: str, folder: str) -> None:
    assert folder_name(plugin) == folder


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_name_is_one_folder_below_and_no_two_share_it(one: str, other: str) -> None:
    for name in map(folder_name, (one, other)):
        assert name.isascii()
        assert 0 < len(name) <= LONGEST_NAME
        assert Path(name).parts == (name,)
        assert not name.startswith(".")
    assert (folder_name(one) == folder_name(other)) == (one == other)


def test_names_that_are_long_and_differ_at_their_end_do_not_share_a_folder() -> None:
    long = "x" * 1000
    assert folder_name(long) != folder_name(long + "x")
    assert folder_name(long) != folder_name(folder_name(long))


# 3. Several tasks, and cancellation


async def test_many_tasks_use_it_at_once(storage: Storage) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(storage.set, f"{number:02}", number)
    assert list((await storage.items()).values()) == list(range(50))


class SlowDisk:
    """Stands in for the disk: it does nothing until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.begun = trio.Event()
        original, original_compare = Database.set, Database.compare_and_set

        def slowly(database: Database, key: str, value: bytes | None) -> None:
            self._wait()
            original(database, key, value)

        def compare_slowly(database: Database, key: str, value: bytes | None, expected: int) -> bool:
            self._wait()
            return original_compare(database, key, value, expected)

        monkeypatch.setattr(Database, "set", slowly)
        monkeypatch.setattr(Database, "compare_and_set", compare_slowly)

    def _wait(self) -> None:
        trio.from_thread.run_sync(self.begun.set)
        self.go_on.wait(10)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    return SlowDisk(monkeypatch)


async def test_who_is_cancelled_goes_on_at_once_and_what_was_begun_is_done(
    storage: Storage, slow_disk: SlowDisk
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storage.set, "key", "first")
        await slow_disk.begun.wait()
        nursery.cancel_scope.cancel()
    slow_disk.go_on.set()
    assert await storage.get("key") == "first"


async def test_what_was_not_begun_when_its_task_was_cancelled_is_not_done(
    storage: Storage, slow_disk: SlowDisk
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storage.set, "key", "first")
        await slow_disk.begun.wait()
        async with trio.open_nursery() as second:
            second.start_soon(storage.set, "key", "second")
            # Not `settled`: that would wait for the disk, too.
            await trio.testing.wait_all_tasks_blocked()
            second.cancel_scope.cancel()
        slow_disk.go_on.set()
    assert await storage.get("key") == "first"


async def test_what_compares_and_has_begun_when_it_is_cancelled_is_done_too(
    storage: Storage, slow_disk: SlowDisk
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storage.compare_and_set, "key", "first", 0)
        await slow_disk.begun.wait()
        nursery.cancel_scope.cancel()
    slow_disk.go_on.set()
    assert not await storage.compare_and_set("key", "second", 0)
    assert await storage.get("key") == "first"


async def test_an_update_that_is_cancelled_keeps_no_other_from_its_turn(storage: Storage, slow_disk: SlowDisk) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storage.update, "votes", one_more, 0)
        await slow_disk.begun.wait()
        nursery.cancel_scope.cancel()
    slow_disk.go_on.set()
    assert await storage.update("votes", one_more, 0, type=int) == 2


async def test_it_is_done_in_the_order_of_the_calls(storage: Storage, slow_disk: SlowDisk) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(storage.set, "key", number)
            await trio.testing.wait_all_tasks_blocked()
        slow_disk.go_on.set()
    assert await storage.get("key") == 4


async def hangs(*_: object, **__: object) -> None:
    """What a disk does that never answers."""
    await trio.sleep_forever()


async def test_a_disk_that_hangs_is_an_error_after_a_while(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio.to_thread, "run_sync", hangs)
    begun = trio.current_time()
    with pytest.raises(StorageError, match=rf"the disk did not answer within {DISK_TIMEOUT:g} seconds"):
        await storage.set("key", 1)
    assert trio.current_time() - begun == DISK_TIMEOUT


async def test_updates_that_wait_for_each_other_do_not_wait_longer_for_the_disk_than_one(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trio.to_thread, "run_sync", hangs)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(update_in_vain, storage)
    assert trio.current_time() - begun == DISK_TIMEOUT


async def update_in_vain(storage: Storage) -> None:
    with pytest.raises(StorageError, match="the disk did not answer"):
        await storage.update("key", one_more, 0, type=int)


class Tally:
    """`/vote` counts, and tells how many there are."""

    @command("vote", help="vote")
    async def vote(self, client: Client) -> str:
        count = await client.server.storage("tally").update("votes", one_more, 0, type=int)
        return f"vote {count}"


async def both_vote(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/vote")
    await bob.say("/vote")
    await chat.settled()


def test_a_plugin_that_keeps_something_survives_a_cancellation_anywhere() -> None:
    cancel_everywhere(both_vote, plugins=[Tally], targets=["hook", "client", "server"])


def both_votes_are_counted(run: Run) -> None:
    """Both votes are counted."""
    database = Database(run.folder / "trichat_data" / "tally" / "storage.sqlite3")
    value, _ = database.get("votes")
    assert value == b"2"
    database.close()


def test_no_vote_is_lost_whatever_the_order_of_tasks() -> None:
    explore(both_vote, 20, plugins=[Tally], invariants=[both_votes_are_counted])


# 4. Versions


def one_more(number: int) -> int:
    return number + 1


async def test_a_value_comes_with_its_version(storage: Storage) -> None:
    await storage.set("vote", VOTE)
    found = await storage.get_versioned("vote", type=Vote)
    assert found == Versioned(VOTE, found.version)
    assert found.version > 0
    assert await storage.get_versioned("vote", type=Vote) == found


async def test_a_key_that_is_not_there_has_the_default_and_version_0(storage: Storage) -> None:
    assert await storage.get_versioned("key") == (None, 0)
    assert await storage.get_versioned("key", 7, type=int) == (7, 0)


async def test_none_is_a_value_like_others(storage: Storage) -> None:
    await storage.set("key", None)
    value, version = await storage.get_versioned("key", 7)
    assert value is None
    assert version > 0


async def test_a_value_is_set_and_deleted_only_if_nobody_was_faster(storage: Storage) -> None:
    await storage.set("key", "old")
    _, version = await storage.get_versioned("key")
    await storage.set("key", "old")
    assert not await storage.compare_and_set("key", "new", version)
    assert not await storage.compare_and_delete("key", version)
    value, version = await storage.get_versioned("key")
    assert value == "old"
    assert await storage.compare_and_set("key", "new", version)
    value, version = await storage.get_versioned("key")
    assert value == "new"
    assert await storage.compare_and_delete("key", version)
    assert await storage.get_versioned("key") == (None, 0)


async def test_of_all_who_make_the_same_key_one_does(storage: Storage) -> None:
    made = []

    async def make(name: str) -> None:
        if await storage.compare_and_set("owner", name, 0):
            made.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("alice", "bob", "carol"):
            nursery.start_soon(make, name)
    assert [await storage.get("owner")] == made


async def test_versions_survive_a_restart_and_do_not_return(tmp_path: Path, virtual_time: object) -> None:
    async with running(folder=tmp_path) as chat:
        storage = chat.server.storage("poll")
        for key in ("kept", "made again"):
            await storage.set(key, 1)
        kept, gone = [await storage.get_versioned(key, type=int) for key in ("kept", "made again")]
        await storage.delete("made again")
    async with running(folder=tmp_path) as chat:
        storage = chat.server.storage("poll")
        await storage.set("made again", 1)
        assert await storage.get_versioned("kept", type=int) == kept
        assert not await storage.compare_and_set("made again", 2, gone.version)


async def test_what_json_cannot_hold_is_refused_by_all_that_set(storage: Storage) -> None:
    with pytest.raises(TypeError, match="objects of type module"):
        await storage.compare_and_set("key", trio.socket, 0)
    with pytest.raises(TypeError, match="objects of type module"):
        await storage.update("key", lambda _: trio.socket)
    assert await storage.items() == {}


async def test_an_update_returns_what_it_has_set(storage: Storage) -> None:
    assert await storage.update("votes", one_more, 0, type=int) == 1
    assert await storage.update("votes", one_more, 0, type=int) == 2
    assert await storage.get("votes") == 2
    assert await storage.update("voters", lambda names: [*(names or []), "alice"], type=list[str]) == ["alice"]


async def test_of_many_updates_at_once_none_is_lost_and_none_keeps_another_from_being_done(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._plugins.storage.UPDATE_TRIES", 1)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(storage.update, "votes", one_more, 0)
    assert await storage.get("votes") == 20


class Rival:
    """Another process: it writes while a value is being updated, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        self._database = Database(path)
        self._times = times
        self.calls = 0

    def one_more(self, number: int) -> int:
        self.calls += 1
        if self.calls <= self._times:
            self._database.set("votes", b"%d" % (10 * self.calls))
        return number + 1

    def close(self) -> None:
        self._database.close()


async def test_an_update_begins_again_with_what_others_have_set_meanwhile(storage: Storage) -> None:
    with closing(Rival(storage.folder / "storage.sqlite3", 2)) as rival:
        assert await storage.update("votes", rival.one_more, 0, type=int) == 21
    assert rival.calls == 3
    assert await storage.get("votes") == 21


async def test_an_update_that_others_never_let_through_is_a_clear_error(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._plugins.storage.UPDATE_TRIES", 3)
    sentence = r"storage\.sqlite3: 'votes' was written 3 times in a row while it was being updated"
    with closing(Rival(storage.folder / "storage.sqlite3", 3)) as rival, pytest.raises(StorageError, match=sentence):
        await storage.update("votes", rival.one_more, 0, type=int)
    assert await storage.get("votes") == 30


async def test_an_update_whose_function_raises_changes_nothing_and_lets_others_in(storage: Storage) -> None:
    await storage.set("votes", 1)
    with pytest.raises(ZeroDivisionError):
        await storage.update("votes", lambda votes: votes // 0, 0, type=int)
    assert await storage.get("votes") == 1
    assert await storage.update("votes", one_more, 0, type=int) == 2


# 5. The end


class LastWords:
    """Stores something in each of its last moments."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        yield
        await server.storage("last_words").set("lifespan", "left")

    @hookimpl
    async def on_disconnect(self, client: Client, reason: str) -> None:
        await client.server.storage("last_words").set(client.name, reason)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_it_is_there_until_the_last_plugin_has_ended(
    tmp_path: Path, virtual_time: object, is_cancelled: bool
) -> None:
    with trio.CancelScope() as scope:
        async with running([LastWords], folder=tmp_path) as chat:
            await chat.join("alice")
            if is_cancelled:
                scope.cancel()
    assert scope.cancelled_caught == is_cancelled
    database = Database(tmp_path / "trichat_data" / "last_words" / "storage.sqlite3")
    assert [key for key, _ in database.items()] == ["alice", "lifespan"]
    database.close()


async def test_it_is_there_only_while_the_server_runs(virtual_time: object) -> None:
    async with running() as chat:
        used, unused = chat.server.storage("used"), chat.server.storage("unused")
        await used.set("key", 1)
    for storage in (used, unused, Server(plugins={}).storage("poll")):
        with pytest.raises(RuntimeError, match="the server is not running"):
            await storage.get("key")


async def test_a_disk_that_hangs_does_not_hold_up_a_stop(
    virtual_time: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(config={"plugins": {"chat_log": {"enabled": False}, "topic": {"enabled": False}}}) as chat:
        await chat.server.storage("poll").set("key", 1)
        monkeypatch.setattr(trio.to_thread, "run_sync", hangs)
        begun = trio.current_time()
        chat.server.stop()
    assert trio.current_time() - begun <= chat.server.options.shutdown_timeout
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "the disk did not answer; the last values stored may be missing"
    ]
