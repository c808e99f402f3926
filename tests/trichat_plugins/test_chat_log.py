"""The plugin `chat_log`: what was said is kept before anyone sees it, survives what it can, and is sent to joiners."""

import errno
import logging
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
import trio
from client_kit import Reader
from disk_kit import disk_full_at
from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_kit import FOREIGN
from thread_kit import all_threads_taken
from trichat_plugins import _recent_messages, chat_log
from trichat_plugins._log_file import LogFile
from trichat_plugins._recent_messages import RECENT
from trichat_plugins.chat_log import SYNC_INTERVAL, ChatLog, ChatLogOptions

from trichat import (
    Config,
    ConfigError,
    Message,
    Server,
    StartError,
    format_log_lines,
    hookimpl,
    load_plugins,
    parse_log_line,
)
from trichat._chat.history import Stretch
from trichat._net.transport import Bytes
from trichat._server import core_of
from trichat.testing import Chat, running

# Later than every message of a test.
FAR = 10**16

# Seconds that a test with worker threads may wait, in real time; only a failure waits so long.
FAIL_SAFE = 10

# 2026-11-22 13:29:00 UTC.
NOON = 1_795_354_140_000_000

Replay = int | Literal["all"]


def said(id: int, text: str = "hello", *, sender: str = "alice", room: str = "lobby") -> Message:
    return Message(text, sender, (room,), "said", id)


def numbered(rooms: Iterable[str]) -> list[Message]:
    """One message in each room, with the ids 1, 2, 3, ..."""
    return [said(id, f"message {id}", room=room) for id, room in enumerate(rooms, 1)]


def write(path: Path, messages: Iterable[Message]) -> None:
    path.write_text(format_log_lines(messages), encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read_bytes(path: Path) -> bytes:
    return path.read_bytes()


def read(path: Path) -> list[Message]:
    """All messages in a file in which every line is one."""
    *lines, end = read_bytes(path).split(b"\n")
    assert end == b""
    messages = [parse_log_line(line) for line in lines]
    assert None not in messages
    return [message for message in messages if message is not None]


def move_away(path: Path) -> Path:
    return path.rename(path.with_suffix(".1"))


def texts(messages: Iterable[Message]) -> list[str]:
    return [message.text or message.sentence() for message in messages]


@asynccontextmanager
async def opened(
    path: Path,
    *,
    replay: Replay = 1000,
    fsync: Literal["always", "everysec", "never"] = "never",
    presence: bool = True,
) -> AsyncIterator[ChatLog]:
    """The plugin alone, with its file open."""
    log = ChatLog(ChatLogOptions(path=str(path), replay=replay, fsync=fsync, presence=presence))
    async with log.lifespan(Server(plugins={}, listeners=[])):
        yield log


async def keep(log: ChatLog, messages: Sequence[Message]) -> None:
    """Give the plugin a batch."""
    waiting = log.on_broadcast(messages)
    if waiting is not None:
        await waiting


async def history(log: ChatLog, *, after: int = 0, before: int = FAR, room: str = "lobby") -> list[Message]:
    return list(await log.history(room, after, before, None, newest=True))


async def join_reading(chat: Chat, name: str) -> list[str]:
    """Join, and return the history that is sent, each line without its date; it is checked that there is one."""
    person = await chat.connect()
    await person.say(name)
    lines = []
    while not (line := await person.next_line() or "").startswith("* welcome, "):
        assert line[0] == "["
        assert line[20:22] == "] "
        lines.append(line[22:])
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat_log.txt"


# The history.


@pytest.mark.parametrize(
    ("replay", "after", "before", "expected"),
    [
        pytest.param(1000, 0, FAR, [1, 3, 4, 6], id="all of the room"),
        pytest.param(2, 0, FAR, [4, 6], id="the last two"),
        pytest.param(2, 0, 6, [3, 4], id="the last two before"),
        pytest.param(1000, 3, 6, [4], id="in between, both ends excluded"),
        pytest.param(1000, 6, FAR, [], id="nothing later"),
        pytest.param(1000, 0, 1, [], id="nothing earlier"),
        pytest.param("all", 0, FAR, [1, 3, 4, 6], id="all, and no limit"),
        pytest.param(0, 0, FAR, [], id="none wanted"),
    ],
)
async def test_history_is_the_last_messages_in_between_oldest_first(
    path: Path, replay: Replay, after: int, before: int, expected: list[int]
) -> None:
    kept = numbered(["lobby", "dev", "lobby", "lobby", "dev", "lobby"])
    async with opened(path, replay=replay) as log:
        await keep(log, kept)
        assert await history(log, after=after, before=before) == [kept[id - 1] for id in expected]


async def test_a_room_where_nothing_was_said_has_no_history(path: Path) -> None:
    async with opened(path) as log:
        await keep(log, numbered(["lobby"]))
        assert await history(log, room="dev") == []


@settings(deadline=None, max_examples=30)
@given(
    where=st.lists(st.sampled_from(["lobby", "lobby", "dev"]), max_size=10),
    restart=st.integers(0, 10),
    replay=st.sampled_from([0, 1, 2, 5, 100, "all"]),
)
@example(where=["dev", "lobby", "dev", *["lobby"] * 5, "dev"], restart=0, replay=5)
@example(where=["dev", "lobby", "dev", *["lobby"] * 5, "dev"], restart=9, replay=5)
@example(where=["dev", "lobby", "dev", *["lobby"] * 5, "dev"], restart=0, replay="all")
@example(where=["dev", "lobby", "dev", *["lobby"] * 5, "dev"], restart=9, replay="all")
async def test_history_is_the_same_from_memory_and_from_the_file(
    where: list[str], restart: int, replay: Replay
) -> None:
    kept = numbered(where)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_log, "RECENT", 3)
        patch.setattr(_recent_messages, "RECENT", 3)
        path = Path(folder) / "chat_log.txt"
        write(path, kept[:restart])
        async with opened(path, replay=replay) as log:
            await keep(log, kept[restart:])
            for after, before in product(range(len(where) + 1), range(len(where) + 2)):
                wanted = [message for message in kept if message.room == "lobby" and after < message.id < before]
                if replay != "all":
                    wanted = wanted[-replay:] if replay else []
                with trio.fail_after(FAIL_SAFE):
                    assert await history(log, after=after, before=before) == wanted


@pytest.mark.parametrize("replay", [10, RECENT - 1, RECENT, RECENT + 1, 10_000, "all"])
@pytest.mark.parametrize("restart", [False, True], ids=["live", "after a restart"])
async def test_history_is_complete_where_memory_ends_and_the_file_begins(
    path: Path, replay: Replay, restart: bool
) -> None:
    kept = numbered(["lobby"] * (RECENT + 10))
    write(path, kept if restart else [])
    async with opened(path, replay=replay) as log:
        await keep(log, [] if restart else kept)
        for after in (0, 9, 10, 11):
            wanted = kept[after:] if replay == "all" else kept[after:][-replay:]
            assert await history(log, after=after) == wanted


async def test_no_more_than_the_recent_messages_of_a_room_are_held_in_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recent_messages, "RECENT", 3)
    kept = numbered(["lobby"] * 10)
    async with opened(path, replay=5) as log:
        await keep(log, kept)
        write(path, [])  # What is not in memory is gone now.
        assert await history(log, after=7) == kept[7:]
        assert await history(log, after=6) == []


async def test_foreign_lines_in_the_file_are_passed_over(path: Path) -> None:
    kept = numbered(["lobby"] * 3)
    before = b"\n".join(
        [*FOREIGN, format_log_lines([kept[0]]).encode(), *FOREIGN, format_log_lines([kept[1]]).encode()]
    )
    write_bytes(path, before)
    async with opened(path, replay="all") as log:
        await keep(log, kept[2:])
        assert await history(log) == kept
    assert read_bytes(path) == before + format_log_lines([kept[2]]).encode()


@pytest.mark.parametrize("replay", [100, "all"])
async def test_foreign_lines_are_passed_over_when_the_file_is_read_again(
    path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_log, "RECENT", 1)
    kept = numbered(["lobby"] * 3)
    write_bytes(path, b"".join(format_log_lines([message]).encode() + b"\n".join(FOREIGN) + b"\n" for message in kept))
    async with opened(path, replay=replay) as log:
        assert await history(log) == kept


async def test_without_presence_who_joined_and_left_is_not_kept(path: Path) -> None:
    batch = [
        said(1),
        Message("", "bob", kind="joined", id=2),
        Message("", "bob", kind="quit", id=3),
        Message("lunch", kind="notice", id=4),
    ]
    async with opened(path, presence=False) as log:
        await keep(log, batch)
        assert texts(await history(log)) == ["hello", "lunch"]
    assert texts(read(path)) == ["hello", "lunch"]


async def test_without_presence_a_batch_may_have_nothing_to_keep(path: Path) -> None:
    async with opened(path, presence=False) as log:
        await keep(log, [Message("", "bob", kind="joined", id=2)])
    assert read_bytes(path) == b""


# Its table.


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"replay": -1}, "replay: Expected `int` >= 0"),
        ({"replay": 10_001}, "replay: Expected `int` <= 10000"),
        ({"replay": "some"}, "replay: Expected `int` or 'all' (here: 'some')"),
        ({"fsync": "sometimes"}, "fsync: Expected 'always' or 'everysec' or 'never' (here: 'sometimes')"),
        ({"presence": 1}, "presence: Expected `bool`"),
        ({"file": "log.txt"}, "file: unknown key"),
    ],
)
def test_a_fault_in_its_table_is_named_by_its_place(table: dict[str, object], place: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load_plugins(Config.from_tables({"plugins": {"chat_log": table}}))
    [fault] = wrong.value.faults
    assert fault.startswith(f"configuration: plugins.chat_log.{place}")


# In a running server: what is kept, and who is sent it.


async def test_what_anyone_heard_is_in_the_file(chat: Chat, path: Path) -> None:
    alice = await chat.join("alice")
    assert texts(read(path)) == ["alice joined"]
    await alice.say("one")
    await alice.hears("alice: one")
    assert texts(read(path)) == ["alice joined", "one"]
    bob = await chat.join("Bob the Builder")
    await bob.say("two")
    await alice.hears("* Bob the Builder joined", "Bob the Builder: two")
    bob.hang_up()
    await alice.hears("* Bob the Builder left")
    assert texts(read(path)) == ["alice joined", "one", "Bob the Builder joined", "two", "Bob the Builder left"]


async def test_a_joiner_is_sent_what_was_said_with_its_date(chat: Chat, path: Path) -> None:
    alice = await chat.join("alice")
    await alice.say("one", "two")
    await alice.hears("alice: one", "alice: two")
    await chat.server.say("lobby", "lunch is ready")
    await alice.hears("* lunch is ready")
    bob = await chat.connect()
    await bob.say("bob")
    dates = [message.time.strftime("[%Y-%m-%d %H:%M:%S]") for message in read(path)]
    await bob.hears(
        f"{dates[0]} * alice joined",
        f"{dates[1]} alice: one",
        f"{dates[2]} alice: two",
        f"{dates[3]} * lunch is ready",
        "* welcome, bob; here: alice; what is said is kept (dates are UTC); /help shows the commands; bye leaves",
    )


async def test_the_history_survives_a_restart(tmp_path: Path, virtual_time: object) -> None:
    async with running(folder=tmp_path) as chat:
        alice = await chat.join("Ada L")
        await alice.say("hello", "  spaces stay  ", "a: b * c")
        await alice.hears("Ada L: hello", "Ada L:   spaces stay  ", "Ada L: a: b * c")
        heard = await join_reading(chat, "bob")
    assert heard == ["* Ada L joined", "Ada L: hello", "Ada L:   spaces stay  ", "Ada L: a: b * c"]
    async with running(folder=tmp_path) as chat:
        again = await join_reading(chat, "carol")
    assert again[: len(heard)] == heard
    assert sorted(again[len(heard) :]) == ["* Ada L left", "* bob joined", "* bob left"]


@pytest.mark.parametrize(
    ("replay", "expected"),
    [
        (0, []),
        (1, ["alice: two"]),
        (2, ["alice: one", "alice: two"]),
        ("all", ["* alice joined", "alice: one", "alice: two"]),
    ],
)
async def test_a_joiner_is_sent_as_much_as_configured(
    virtual_time: object, replay: Replay, expected: list[str]
) -> None:
    async with running(config={"plugins": {"chat_log": {"replay": replay}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("one", "two")
        await alice.hears("alice: one", "alice: two")
        assert await join_reading(chat, "bob") == expected


@pytest.mark.chat(config={"plugins": {"chat_log": {"presence": False}}})
async def test_without_presence_a_joiner_is_sent_only_what_was_said(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("one")
    await alice.hears("alice: one")
    assert await join_reading(chat, "bob") == ["alice: one"]
    await alice.hears("* bob joined")  # Those who are here are told all the same.


async def test_nothing_is_sent_twice_after_a_new_version_that_could_not_start(chat: Chat) -> None:
    class Unable:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            raise OSError("on purpose")
            yield

    alice = await chat.join("alice")
    await alice.say("one")
    await alice.hears("alice: one")
    with pytest.raises(StartError, match="on purpose"):
        await chat.server.replace_plugin("chat_log", Unable())
    await alice.say("two")
    await alice.hears("alice: two")
    assert await join_reading(chat, "bob") == ["* alice joined", "alice: one", "alice: two"]


@pytest.mark.parametrize(("replay", "count"), [(1000, 1000), (RECENT + 100, RECENT + 100), ("all", RECENT + 500)])
async def test_a_history_longer_than_memory_is_sent_as_well(
    tmp_path: Path, path: Path, virtual_time: object, replay: Replay, count: int
) -> None:
    kept = numbered(["lobby"] * (RECENT + 500))
    write(path, kept)
    async with running(config={"plugins": {"chat_log": {"replay": replay}}}, folder=tmp_path) as chat:
        assert await join_reading(chat, "alice") == [f"alice: {message.text}" for message in kept[-count:]]


@pytest.mark.chat(config={"plugins": {"chat_log": {"enabled": False}}})
async def test_without_the_plugin_nothing_is_kept(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("off the record")
    await alice.hears("alice: off the record")
    assert await join_reading(chat, "bob") == []
    assert os.listdir(chat.folder) == []


# Starting.


async def test_a_second_server_on_the_same_file_is_refused(chat: Chat, path: Path) -> None:
    alice = await chat.join("alice")
    second = Server(plugins={"chat_log": ChatLog(ChatLogOptions(path=str(path)))}, listeners=[])
    with pytest.raises(StartError) as refused:
        await second.serve()
    assert str(refused.value) == f"plugin 'chat_log' cannot start: {path}: another server is writing to it"
    await alice.say("still here")
    await alice.hears("alice: still here")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "Is a directory"),
        ("missing/log.txt", "No such file or directory"),
        ("/dev/null", "it is not a regular file"),
    ],
)
async def test_a_path_where_no_file_can_be_refuses_the_start(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    server = Server(plugins={"chat_log": ChatLog(ChatLogOptions(path=str(path)))}, listeners=[])
    with pytest.raises(StartError) as refused:
        await server.serve()
    assert str(refused.value) == f"plugin 'chat_log' cannot start: {path}: {reason}"


async def test_a_new_file_is_not_for_everyone_to_read(tmp_path: Path, path: Path, virtual_time: object) -> None:
    umask = os.umask(0)
    try:
        async with running(folder=tmp_path) as chat:
            await chat.join("alice")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


@pytest.mark.parametrize(
    "torn", [b"2026-11-22T13:29:01.000000Z lobby alice: hel", b"a" * 70_000], ids=["short", "long"]
)
@pytest.mark.parametrize("whole", [[said(NOON, "whole")], []], ids=["behind a whole line", "the whole file"])
async def test_a_torn_last_line_is_set_aside(
    tmp_path: Path,
    path: Path,
    virtual_time: object,
    caplog: pytest.LogCaptureFixture,
    whole: list[Message],
    torn: bytes,
) -> None:
    write_bytes(path, format_log_lines(whole).encode() + torn)
    async with running(folder=tmp_path) as chat:
        assert await join_reading(chat, "alice") == [f"alice: {message.text}" for message in whole]
    aside = tmp_path / "chat_log.txt.torn"
    assert aside.read_bytes() == torn + b"\n"
    assert texts(read(path)) == [*texts(whole), "alice joined", "alice left"]
    assert caplog.messages == [f"the last line of {path} was torn by a crash; it is now in {aside}"]


async def test_a_file_that_is_whole_is_left_as_it_is(
    tmp_path: Path, path: Path, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, [said(NOON, "whole")])
    async with running(folder=tmp_path):
        assert texts(read(path)) == ["whole"]
    assert os.listdir(tmp_path) == ["chat_log.txt"]
    assert caplog.messages == []


async def test_ids_go_on_after_a_restart_even_if_the_clock_went_back(
    tmp_path: Path, path: Path, virtual_time: object
) -> None:
    future = 4_070_908_800_000_000  # 2099-01-01
    write(path, [said(future, "from the future")])
    async with running(folder=tmp_path) as chat:
        alice = await chat.join("alice")
        await alice.say("one", "two")
        await alice.hears("alice: one", "alice: two")
        heard = await join_reading(chat, "bob")
    assert heard == ["alice: from the future", "* alice joined", "alice: one", "alice: two"]
    kept = [message.id for message in read(path)]
    assert kept[:2] == [future, future + 1]
    assert all(earlier < later for earlier, later in pairwise(kept))


async def test_ids_go_on_although_the_last_line_is_foreign(path: Path) -> None:
    resumed: list[int] = []

    class Resuming(Server):
        def resume_after(self, id: int) -> None:
            resumed.append(id)

    write_bytes(path, format_log_lines([said(NOON)]).encode() + b"# the end of the old file\n")
    log = ChatLog(ChatLogOptions(path=str(path)))
    async with log.lifespan(Resuming(plugins={}, listeners=[])):
        assert resumed == [NOON]


# A disk that is full or broken.


async def test_when_the_disk_is_full_the_sender_is_told_and_nobody_hears_it(
    chat: Chat, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    before = read_bytes(path)
    with disk_full_at(len(before) + 100):
        await alice.say("one, which the disk has room for", "two, which it has not")
        await alice.hears("* 2 messages were not sent: the plugin 'chat_log' failed")
    assert read_bytes(path) == before
    await alice.say("three")
    await alice.hears("alice: three")
    await bob.hears("alice: three")
    assert texts(read(path)) == ["alice joined", "bob joined", "three"]
    assert await join_reading(chat, "carol") == ["* alice joined", "* bob joined", "alice: three"]
    assert caplog.messages == [f"plugin 'chat_log' failed in on_broadcast: {path}: File too large"]


async def test_while_the_disk_is_full_nobody_joins_and_who_is_here_may_leave(chat: Chat, path: Path) -> None:
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    with disk_full_at(len(read_bytes(path))):
        carol = await chat.connect()
        await carol.say("carol")
        await carol.hears("* refused: the plugin 'chat_log' failed")
        await carol.hears_the_end()
        bob.hang_up()
        await chat.settled()
    await alice.say("hello")
    # Who left is told with the next batch that goes.
    await alice.hears("alice: hello", "* bob left")
    assert texts(read(path)) == ["alice joined", "bob joined", "hello", "bob left"]


# When the disk must have it.

ALWAYS = {"plugins": {"chat_log": {"fsync": "always"}}}
EVERYSEC = {"plugins": {"chat_log": {"fsync": "everysec"}}}


@contextmanager
def syncing(monkeypatch: pytest.MonkeyPatch, sync: Callable[[int], None]) -> Iterator[None]:
    """Sync with `sync(fd)` instead of `os.fdatasync`."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", sync)
        yield


async def test_with_fsync_always_the_disk_has_it_before_anyone_sees_it(
    tmp_path: Path, path: Path, virtual_time: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    fdatasync = os.fdatasync

    def sync(fd: int) -> None:
        fdatasync(fd)
        synced.append(path.read_bytes())

    with syncing(monkeypatch, sync):
        async with running(config=ALWAYS, folder=tmp_path) as chat:
            alice = await chat.join("alice")
            assert synced[-1].endswith(b" lobby * alice joined\n")
            for text in ("one", "two"):
                await alice.say(text)
                await alice.hears(f"alice: {text}")
                assert synced[-1].endswith(f" lobby alice: {text}\n".encode())


@pytest.mark.chat(config=ALWAYS)
async def test_with_fsync_always_nobody_hears_what_the_disk_did_not_take(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    with syncing(monkeypatch, fail):
        await alice.say("one")
        await alice.hears("* not sent: the plugin 'chat_log' failed")
    assert chat.log == ["* alice joined", "* bob joined"]
    await alice.say("two")
    await alice.hears("alice: two")
    await bob.hears("alice: two")
    assert await join_reading(chat, "carol") == ["* alice joined", "* bob joined", "alice: two"]


async def test_with_fsync_always_a_disk_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # In real time: virtual time would wait for the thread, and the thread hangs.
    release = threading.Event()

    def hang(fd: int) -> None:
        release.wait(FAIL_SAFE)

    async with running(config={**ALWAYS, "server": {"hook_timeout": 0.2}}) as chat:
        alice = await chat.join("alice")
        with syncing(monkeypatch, hang):
            await alice.say("one")
            await alice.hears("* not sent: the plugin 'chat_log' failed")
            release.set()
        assert chat.log == ["* alice joined"]
        await alice.say("two")
        await alice.hears("alice: two")
        alice.hang_up()  # so that the stop does not wait for it


@pytest.mark.parametrize(("ahead", "warned"), [(0, False), (50, False), (70, True)])
async def test_a_last_date_in_the_future_is_warned_of_since_later_ones_cannot_be_right(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, ahead: int, warned: bool
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOON / 1_000_000)
    write(path, [said(NOON + ahead * 1_000_000)])
    async with opened(path):
        pass
    assert (
        caplog.messages
        == [
            f"the last date in {path} is in the future: 2026-11-22T13:30:10Z; "
            "until then, all new messages get nearly the same date"
        ]
        * warned
    )


async def test_the_log_needs_no_thread_that_others_may_hang_in(virtual_time: object, path: Path) -> None:
    write(path, numbered(["lobby"] * (RECENT + 10)))
    with all_threads_taken(), trio.fail_after(FAIL_SAFE):
        async with opened(path, fsync="always", replay=RECENT + 5) as log:
            await keep(log, [said(FAR)])
            assert len([*await log.history("lobby", 0, RECENT + 11, None, newest=True)]) == RECENT + 5
            path.rename(path.with_suffix(".1"))
            await log.on_reload()
    assert read(path) == []


@pytest.mark.chat(config=EVERYSEC)
async def test_with_fsync_everysec_the_disk_has_it_soon(
    chat: Chat, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    with syncing(monkeypatch, lambda fd: synced.append(path.read_bytes())):
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        await trio.sleep(2 * SYNC_INTERVAL)
        assert synced[-1].endswith(b" lobby alice: hello\n")


@pytest.mark.chat(config=EVERYSEC)
async def test_with_fsync_everysec_a_failure_is_logged_and_it_is_tried_again(
    chat: Chat, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def sync(fd: int) -> None:
        tries.append(fd)
        if len(tries) < 3:
            raise OSError(errno.EIO, "Input/output error")

    with syncing(monkeypatch, sync):
        await chat.join("alice")
        await trio.sleep(10 * SYNC_INTERVAL)
        assert len(tries) == 3
    assert caplog.messages == [f"{path} may not be safe on the disk: [Errno 5] Input/output error"] * 2


@pytest.mark.parametrize(("fsync", "synced"), [("always", True), ("everysec", True), ("never", False)])
async def test_at_the_end_the_disk_has_everything_unless_it_never_has_to(
    path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Literal["always", "everysec", "never"], synced: bool
) -> None:
    at_sync: list[bytes] = []
    with syncing(monkeypatch, lambda fd: at_sync.append(path.read_bytes())):
        async with opened(path, fsync=fsync) as log:
            await keep(log, [said(1)])
    assert (format_log_lines([said(1)]).encode() in at_sync) is synced


# When somebody moves the file.


async def test_a_reload_goes_on_with_a_new_file_when_the_old_one_was_moved(
    chat: Chat, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trichat.chat_log")
    alice = await chat.join("alice")
    await alice.say("one")
    await alice.hears("alice: one")
    moved = move_away(path)
    await alice.say("two")
    await alice.hears("alice: two")
    await chat.server.reload()
    await alice.say("three")
    await alice.hears("alice: three")
    assert texts(read(moved)) == ["alice joined", "one", "two"]
    assert texts(read(path)) == ["three"]
    assert f"{path} was reopened" in caplog.messages
    # Who joins now is sent what is in memory, whichever file it is in.
    assert await join_reading(chat, "bob") == ["* alice joined", "alice: one", "alice: two", "alice: three"]


async def test_a_reload_changes_nothing_when_nothing_was_moved(
    chat: Chat, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trichat.chat_log")
    alice = await chat.join("alice")
    inode = os.stat(path).st_ino
    await chat.server.reload()
    await alice.say("hello")
    await alice.hears("alice: hello")
    assert os.stat(path).st_ino == inode
    assert texts(read(path)) == ["alice joined", "hello"]
    assert caplog.messages == []


async def test_a_reload_that_cannot_open_a_new_file_goes_on_with_the_old_one(
    chat: Chat, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await chat.join("alice")
    moved = move_away(path)
    os.mkdir(path)
    await chat.server.reload()
    await alice.say("hello")
    await alice.hears("alice: hello")
    assert texts(read(moved)) == ["alice joined", "hello"]
    [message] = caplog.messages
    assert message.startswith("plugin 'chat_log' failed in on_reload: ")


async def test_after_a_reload_the_old_file_is_free_for_others_and_the_new_one_is_not(chat: Chat, path: Path) -> None:
    moved = move_away(path)
    await chat.server.reload()
    async with opened(moved):
        pass
    with pytest.raises(OSError, match="another server is writing to it"):
        async with opened(path):
            pass


@pytest.mark.chat(config=ALWAYS)
async def test_a_reload_while_a_batch_is_being_synced_loses_nothing(
    chat: Chat, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    really: Callable[[LogFile], None] = LogFile.sync

    def slow(log: LogFile) -> None:
        begun.set()
        go_on.wait(10)
        really(log)

    alice = await chat.join("alice")
    monkeypatch.setattr(LogFile, "sync", slow)
    await alice.say("hello")
    assert await trio.to_thread.run_sync(begun.wait, 10)
    moved = path.rename(path.with_suffix(".1"))
    monkeypatch.setattr(LogFile, "sync", really)
    await chat.server.reload()
    go_on.set()
    await alice.hears("alice: hello")
    assert "alice: hello" in moved.read_text()
    assert "alice: hello" not in path.read_text()


async def test_who_reads_the_old_file_while_it_is_moved_reads_all_of_it(path: Path) -> None:
    kept = numbered(["lobby"] * 3000)
    path.write_text(format_log_lines(kept))
    async with opened(path, replay="all") as log:
        answer = iter(await log.history("lobby", 0, kept[-1].id + 1, None, newest=True))
        read = [next(answer)]
        path.rename(path.with_suffix(".1"))
        await log.on_reload()
        assert [*read, *answer] == kept


async def test_a_reload_sets_a_torn_last_line_of_the_new_file_aside(chat: Chat, path: Path) -> None:
    alice = await chat.join("alice")
    path.rename(path.with_suffix(".1"))
    path.write_text("2026-11-22T13:29:00.000000Z lobby bob: torn he")
    await chat.server.reload()
    await alice.say("hi")
    await alice.hears("alice: hi")
    assert path.read_text().endswith(" lobby alice: hi\n")
    assert len(path.read_text().splitlines()) == 1
    assert path.with_name("chat_log.txt.torn").read_text().endswith("torn he\n")


async def test_who_reads_a_long_history_while_the_log_is_replaced_gets_all_of_it(virtual_time: object) -> None:
    async with running(config={"plugins": {"chat_log": {"replay": "all"}}}) as chat:
        assert chat.log_path is not None
        chat.log_path.write_text(
            "".join(format_log_lines([Message(f"message {id}", "old", id=id)]) for id in range(1_000_000, 1_006_000))
        )
        await chat.replace("chat_log")
        pages: list[bytes] = []

        async def send(data: Bytes) -> None:
            pages.append(bytes(data))
            if len(pages) == 2:
                await chat.replace("chat_log")

        assert await core_of(chat.server).history.send_if_long(send, Reader(), Stretch("lobby", 0, 10**16))
        assert b"".join(pages).count(b"\n") == 6000
