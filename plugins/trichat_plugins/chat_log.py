"""Keeps `chat_log.txt`: writes every message before anyone sees it, and supplies the history for joiners."""

import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import trio

from trichat import Message, Meta, Options, Server, WorkerThreads, format_log_lines, hookimpl, parse_log_line
from trichat_plugins._log_file import LogFile
from trichat_plugins._recent_messages import RECENT, RecentMessages

logger = logging.getLogger("trichat.chat_log")

# The most messages that are read from the end of the file, and kept in memory. More are read from its beginning, a page
# at a time.
MOST_READ_BACKWARDS = 10_000

# Seconds whose messages the file may lose when the power fails, with fsync = "everysec".
SYNC_INTERVAL = 1.0

# Seconds that the last date of the log may be ahead of the clock, because the clock may have been corrected since.
AHEAD = 60

# Threads that may hang with the disk before the log has none left.
THREADS = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000  # in the unit of ids


class ChatLogOptions(Options, frozen=True):
    """The table `[plugins.chat_log]`."""

    path: Annotated[str, Meta(min_length=1), "The file; relative to where the server was started."] = "chat_log.txt"
    replay: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_READ_BACKWARDS)] | Literal["all"],
        'How many lines of history a client is sent when it joins: up to 10000, 0 for none, or "all".',
    ] = 1000
    fsync: Annotated[
        Literal["always", "everysec", "never"],
        'When a message is safe on the disk: before it is sent ("always"), about a second later ("everysec"), or '
        'when the kernel writes it ("never").',
    ] = "everysec"
    presence: Annotated[bool, "Whether to keep joins and departures, too."] = True

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:
        """Put the file into `folder`, and let nobody wait for the disk."""
        return {"path": folder / "chat_log.txt", "fsync": "never"}


class ChatLog:
    """Keeps messages in a file, and sends them to clients that join. SIGHUP reopens the file, for logrotate."""

    required = True

    def __init__(self, options: ChatLogOptions) -> None:
        self._options = options
        self._file: LogFile | None = None
        self._unsynced = False
        self._threads = WorkerThreads(THREADS)
        self._recent = RecentMessages()

    @property
    def log_path(self) -> Path:
        """The file in which it keeps the messages."""
        return Path(self._options.path)

    @hookimpl
    def announcements(self) -> Iterable[str]:
        """Say where the file is."""
        return [f"chat log: {self.log_path.absolute()}"]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Hold the file open, and sync it every second if the options ask for it."""
        self._file = self._open(self.log_path)
        try:
            last = self._recover()
            self._warn_of_future(last)
            server.resume_after(last)
            async with trio.open_nursery() as nursery:
                if self._options.fsync == "everysec":
                    nursery.start_soon(self._sync_every_second)
                yield
                nursery.cancel_scope.cancel()
            if self._options.fsync != "never":
                # In a thread, because a disk that hangs must not hold up a stop.
                await self._threads.run(self._log.sync)
        finally:
            # A session may still be reading the history from the file. The last holder closes it.
            self._log.unlock()
            self._file = None

    @property
    def _log(self) -> LogFile:
        """The open file. There always is one, because no hook is called outside of the lifespan."""
        assert self._file is not None
        return self._file

    def _open(self, path: Path) -> LogFile:
        return LogFile(path, lasting=self._options.fsync != "never")

    def _recover(self) -> int:
        """Repair the file, remember its last messages, and return the id of the very last."""
        self._set_torn_line_aside()
        tail = list(islice(_messages(self._log.lines_backwards()), RECENT))
        self._recent.restart(tail[::-1], are_all=len(tail) < RECENT)
        return tail[0].id if tail else 0

    def _warn_of_future(self, last: int) -> None:
        if last > (time.time() + AHEAD) * _SECOND:
            date = (_EPOCH + last * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%SZ")
            logger.warning(
                "the last date in %s is in the future: %s; until then, all new messages get nearly the same date",
                self._log.path,
                date,
            )

    def _set_torn_line_aside(self) -> None:
        aside = self._log.set_torn_line_aside()
        if aside is not None:
            logger.warning("the last line of %s was torn by a crash; it is now in %s", self._log.path, aside)

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> Awaitable[None] | None:
        """Write the batch, with one write."""
        if not self._options.presence:
            messages = [message for message in messages if message.kind not in ("joined", "left", "quit")]
        data = format_log_lines(messages).encode()
        # This writes to the page cache, in microseconds. To hand it over to a thread would take longer.
        self._log.append(data)
        self._unsynced = True
        if self._options.fsync == "always":
            return self._sync_batch(messages, len(data))
        self._recent.remember(messages)
        return None

    async def _sync_batch(self, messages: Sequence[Message], size: int) -> None:
        log = self._log
        try:
            await self._threads.run(log.sync)
        except BaseException:
            # Nobody will see the batch, so it must not stay in the log.
            log.take_back(size)
            raise
        self._recent.remember(messages)

    async def _sync_every_second(self) -> None:
        while True:
            await trio.sleep(SYNC_INTERVAL)
            if self._unsynced:
                self._unsynced = False
                try:
                    await self._threads.run(self._log.sync)
                except OSError as error:
                    logger.error("%s may not be safe on the disk: %s", self._log.path, error)
                    self._unsynced = True

    @hookimpl
    async def history(self, room: str, after: int, before: int, limit: int | None, newest: bool) -> Iterable[Message]:
        """Return the messages: from memory if they are all there, otherwise from the file."""
        if limit is None:
            limit = sys.maxsize if self._options.replay == "all" else self._options.replay
        found = self._recent.find(room, after, before, limit, newest=newest)
        if found is not None:
            return found
        if newest and limit <= MOST_READ_BACKWARDS:
            return await self._threads.run(_last, self._log, room, after, before, limit)
        return islice(_between(_messages(self._log.lines()), room, after, before), limit)

    @hookimpl
    async def on_reload(self) -> None:
        """Continue in a new file if the old one was moved away."""
        if not self._log.was_moved():
            return
        old = self._log
        self._file = self._open(old.path)
        self._set_torn_line_aside()
        logger.info("%s was reopened", self._log.path)
        if self._options.fsync != "never":
            await self._threads.run(old.sync)


def _messages(lines: Iterator[bytes]) -> Iterator[Message]:
    return filter(None, map(parse_log_line, lines))


def _between(messages: Iterator[Message], room: str, after: int, before: int) -> Iterator[Message]:
    for message in messages:
        if message.id >= before:
            return
        if message.id > after and room in message.rooms:
            yield message


def _last(log: LogFile, room: str, after: int, before: int, count: int) -> Sequence[Message]:
    last: list[Message] = []
    for message in _messages(log.lines_backwards()):
        if message.id <= after or len(last) == count:
            break
        if message.id < before and room in message.rooms:
            last.append(message)
    return last[::-1]
