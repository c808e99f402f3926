"""The history alone: a short one is asked for once, a long one is read page by page."""

import threading
from collections.abc import Iterable, Iterator, Sequence

import pytest
import trio
import trio.testing
from client_kit import Reader
from thread_kit import all_threads_taken

from trichat import Message, hookimpl
from trichat._base.errors import ConnectionLost
from trichat._chat.history import PAGE, History, HistoryUnavailable, Stretch
from trichat._net.transport import Bytes
from trichat._plugins.dispatch import Plugins
from trichat.testing import running

READER = Reader()


class Archive:
    """A plugin with a history, in one of the forms that a plugin may return."""

    def __init__(self, history: Iterable[Message] | None) -> None:
        self.history_kept = history
        self.asked = 0

    @hookimpl
    async def history(self, room: str, after: int, before: int) -> Iterable[Message] | None:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        if isinstance(self.history_kept, Sequence):
            return [message for message in self.history_kept if after < message.id < before]
        return self.history_kept


class Receiver:
    """Receives the history."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, data: Bytes) -> None:
        self.sent.append(bytes(data))

    @property
    def texts(self) -> list[str]:
        return [line.rpartition(": ")[2] for line in b"".join(self.sent).decode().splitlines()]


def messages(count: int) -> list[Message]:
    return [Message(f"text {number}", "alice", id=number) for number in range(1, count + 1)]


def history_of(archive: Archive, page_timeout: float = 5) -> History:
    plugins = Plugins(hook_timeout=5)
    plugins.register("archive", archive)
    return History(plugins, page_timeout)


async def test_a_short_history_is_sent_in_one_piece() -> None:
    receiver = Receiver()
    history = history_of(Archive(messages(5)))
    await history.send(receiver.send, READER, Stretch("lobby", 1, 4))
    assert receiver.texts == ["text 2", "text 3"]
    assert len(receiver.sent) == 1


async def test_all_who_join_at_the_same_point_share_one_question_and_one_encoding() -> None:
    archive = Archive(messages(5))
    history = history_of(archive)
    receivers = [Receiver() for _ in range(20)]
    async with trio.open_nursery() as nursery:
        for receiver in receivers:
            nursery.start_soon(history.send, receiver.send, READER, Stretch("lobby", 0, 100))
    assert archive.asked == 1
    assert all(receiver.texts == ["text 1", "text 2", "text 3", "text 4", "text 5"] for receiver in receivers)
    part = history._part(Stretch("lobby", 0, 100))
    assert next(part.pages(READER, "lobby")) is next(part.pages(READER, "lobby"))


async def test_a_storm_of_joins_does_not_queue_up_for_what_is_in_memory() -> None:
    class Memory:
        @hookimpl
        def history(self) -> Sequence[Message]:
            return messages(5)

    plugins = Plugins(hook_timeout=5)
    plugins.register("memory", Memory())
    history = History(plugins, page_timeout=5)
    with trio.testing.assert_no_checkpoints():
        await history._ask(Stretch("lobby", 0, 100))


async def test_who_leaves_while_it_asks_for_all_leaves_the_question_to_the_next() -> None:
    class Slow(Archive):
        @hookimpl
        async def history(self, room: str, after: int, before: int) -> Iterable[Message] | None:
            if self.asked == 0:
                self.asked += 1
                await trio.sleep_forever()
            return await super().history(room, after, before)

    archive = Slow(messages(5))
    history = history_of(archive)
    gone = trio.CancelScope()

    async def leave_soon() -> None:
        with gone:
            await history.send(Receiver().send, READER, Stretch("lobby", 0, 100))

    receivers = [Receiver() for _ in range(20)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave_soon)
        await trio.testing.wait_all_tasks_blocked()
        for receiver in receivers:
            nursery.start_soon(history.send, receiver.send, READER, Stretch("lobby", 0, 100))
        await trio.testing.wait_all_tasks_blocked()
        gone.cancel()
    assert archive.asked == 2
    assert all(len(receiver.texts) == 5 for receiver in receivers)


async def test_in_a_storm_of_joins_those_of_each_batch_share_one_question() -> None:
    archive = Archive(messages(5))
    history = history_of(archive)
    for _ in range(3):
        for before in (3, 4, 5):  # the sessions of three batches, in any order
            await history.send(Receiver().send, READER, Stretch("lobby", 0, before))
    assert archive.asked == 3


async def test_what_is_remembered_is_limited() -> None:
    archive = Archive(messages(5))
    history = history_of(archive)
    for before in range(100):
        await history.send(Receiver().send, READER, Stretch("lobby", 0, before))
    assert len(history._parts) < 10


async def test_only_a_long_history_is_sent_before_joining() -> None:
    receiver = Receiver()
    assert not await history_of(Archive(messages(5))).send_if_long(receiver.send, READER, Stretch("lobby", 0, 100))
    assert receiver.sent == []
    assert await history_of(Archive(iter(messages(5)))).send_if_long(receiver.send, READER, Stretch("lobby", 0, 100))
    assert receiver.texts == [f"text {number}" for number in range(1, 6)]


async def test_a_long_history_is_read_no_faster_than_it_is_sent() -> None:
    read = 0

    def endless() -> Iterator[Message]:
        nonlocal read
        while True:
            read += 1
            yield Message(f"text {read}", id=read)

    pages = 0

    async def send(data: Bytes) -> None:
        nonlocal pages
        pages += 1
        assert read == pages * PAGE
        if pages == 3:
            raise ConnectionLost("enough")

    with pytest.raises(ConnectionLost):
        await history_of(Archive(endless())).send(send, READER, Stretch("lobby", 0, 100))


class SlowArchive(Archive):
    """Reading its history hangs like a disk, except for a joiner that asks for messages after 7."""

    def __init__(self) -> None:
        super().__init__(None)
        self.released = threading.Event()

    @hookimpl
    async def history(self, room: str, after: int, before: int) -> Iterator[Message]:
        await trio.lowlevel.checkpoint()
        return iter(messages(1)) if after == 7 else self._read_slowly()

    def _read_slowly(self) -> Iterator[Message]:
        self.released.wait()
        yield from messages(1)


async def test_three_pages_that_hang_with_the_disk_keep_no_other_joiner_waiting() -> None:
    archive = SlowArchive()
    history = history_of(archive)
    receiver = Receiver()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(history.send, Receiver().send, READER, Stretch("lobby", 0, 100))
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(2):  # a page that hangs times out after 5
            await history.send(receiver.send, READER, Stretch("lobby", 7, 100))
        archive.released.set()
    assert receiver.texts == ["text 1"]


async def test_a_joiner_is_told_when_a_page_hangs_with_the_disk_for_too_long() -> None:
    archive = SlowArchive()
    history = history_of(archive, page_timeout=0.01)
    try:
        with trio.fail_after(5), pytest.raises(HistoryUnavailable, match="the rest of the history cannot be read"):
            await history.send(Receiver().send, READER, Stretch("lobby", 0, 100))
    finally:
        archive.released.set()


async def test_a_storm_of_joins_reads_four_pages_at_a_time() -> None:
    archive = SlowArchive()
    history = history_of(archive)
    async with trio.open_nursery() as nursery:
        for after in range(6):
            nursery.start_soon(history.send, Receiver().send, READER, Stretch("lobby", after, 100))
        await trio.testing.wait_all_tasks_blocked()
        reading = trio.testing.active_thread_count()
        archive.released.set()
    assert reading == 4


async def test_it_needs_no_thread_that_plugins_may_hang_in(virtual_time: object) -> None:
    receiver = Receiver()
    with all_threads_taken():
        await history_of(Archive(iter(messages(PAGE + 1)))).send(receiver.send, READER, Stretch("lobby", 0, 10_000))
    assert len(receiver.texts) == PAGE + 1


async def test_without_a_history_nothing_is_sent() -> None:
    receiver = Receiver()
    await history_of(Archive(None)).send(receiver.send, READER, Stretch("lobby", 0, 100))
    assert receiver.texts == []


async def test_a_plugin_that_fails_is_a_history_that_cannot_be_shown() -> None:
    class Broken:
        @hookimpl
        def history(self) -> None:
            raise ZeroDivisionError("on purpose")

    plugins = Plugins(hook_timeout=5)
    plugins.register("broken", Broken())
    with pytest.raises(HistoryUnavailable, match="the history cannot be shown: the plugin 'broken' failed"):
        await History(plugins, page_timeout=5).send(Receiver().send, READER, Stretch("lobby", 0, 100))


async def test_a_history_that_breaks_off_is_told_after_what_there_was(caplog: pytest.LogCaptureFixture) -> None:
    def torn() -> Iterator[Message]:
        yield from messages(PAGE)
        raise OSError(5, "Input/output error")

    receiver = Receiver()
    with pytest.raises(HistoryUnavailable, match="the rest of the history cannot be read"):
        await history_of(Archive(torn())).send(receiver.send, READER, Stretch("lobby", 0, 10_000))
    assert len(receiver.texts) == PAGE
    assert "Input/output error" in caplog.text


async def test_a_history_of_long_lines_is_sent_in_small_pages() -> None:
    receiver = Receiver()
    long = [Message("x" * 4096, "alice", id=number) for number in range(1, 1001)]
    await history_of(Archive(long)).send(receiver.send, READER, Stretch("lobby", 0, 10_000))
    assert len(receiver.texts) == 1000
    assert max(map(len, receiver.sent)) < 65_536


@pytest.mark.parametrize("answer", ["some text", ["some", "texts"], iter([1, 2]), {"a": 1}])
async def test_a_history_that_is_none_is_not_the_joiners_fault(
    caplog: pytest.LogCaptureFixture, answer: Iterable[Message]
) -> None:
    class Odd:
        @hookimpl
        def history(self) -> Iterable[Message]:
            return answer

    plugins = Plugins(hook_timeout=5)
    plugins.register("odd", Odd())
    with pytest.raises(HistoryUnavailable):
        await History(plugins, page_timeout=5).send(Receiver().send, READER, Stretch("lobby", 0, 100))
    assert "reading the history failed" in caplog.text


async def test_a_history_that_exits_ends_neither_the_server_nor_the_joining(virtual_time: object) -> None:
    class Exiting:
        @hookimpl(tryfirst=True)
        def history(self) -> Iterator[Message]:
            raise SystemExit(3)
            yield

    async with running({"exiting": Exiting()}, {"plugins": {"chat_log": {"enabled": False}}}) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
