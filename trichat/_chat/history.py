"""The history, as it is sent to clients that join, and by the page to those that ask.

A short history is asked for and encoded once for all clients that join at the same point of the order. A long one is
read in worker threads and sent a page at a time, so that memory does not grow with the log.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import trio

from trichat import hookspecs
from trichat._base.errors import ConnectionLost, TrichatError
from trichat._base.failures import pass_on
from trichat._base.messages import Message, Refuse
from trichat._base.worker_threads import WorkerThreads
from trichat._fronts.front import Wire
from trichat._net.outbox import Send
from trichat._plugins.dispatch import Plugins

logger = logging.getLogger("trichat.history")

# A page is read, encoded and sent in one go. It costs a few milliseconds of work, and little memory for each client
# that does not take it. A page ends at the limit that it reaches first.
PAGE = 500
PAGE_CHARACTERS = 16_384

# The most messages, and the most characters, that a client is sent when it asks for a page of the past.
MAX_PAGE = 1000
MAX_PAGE_CHARACTERS = 1024 * 1024

# The longest history that is kept encoded, in one piece, for all clients that see the same part of it.
ENCODED_CHARACTERS = 100_000

# Parts of the history that are kept. In a storm of joins, the sessions of a few batches need different ones.
REMEMBERED = 8

# Pages that are read at the same time. More would only slow down each other and the event loop.
READERS = 4

# Threads that may hang with the disk, each with a page that was abandoned after its timeout. Beyond, none is started.
THREADS = 40


class HistoryUnavailable(TrichatError):
    """A plugin that keeps the history failed. The text is for the client that joins."""


class Stretch(NamedTuple):
    """The newest messages of a room with `after < id < before`, up to a limit."""

    room: str
    after: int
    before: int
    limit: int | None = None
    """The most messages; `None` for as many as the plugins give joiners."""


class Reader(Protocol):
    """What has to be known of a client that is sent history."""

    @property
    def wire(self) -> Wire:
        """How it is sent messages."""

    @property
    def ignored(self) -> object:
        """People whose words it does not want to see; false if there are none."""

    def as_seen(self, message: Message) -> Message | None:
        """Return what it wants to see of a message."""


class _Part:
    """The messages of a stretch of history. One session asks the plugins for them, for all sessions."""

    def __init__(self) -> None:
        self.asking = trio.Lock()
        self.messages: Sequence[Message] | None = None
        """`None` until a session has asked. It stays `None` if the messages are not in memory."""
        self._encoded: dict[Wire, bytes] = {}

    def pages(self, reader: Reader, room: str) -> Iterator[bytes]:
        """Yield the messages of `room`, encoded for a reader."""
        assert self.messages is not None
        wire = reader.wire
        encoded = None if reader.ignored else self._encoded.get(wire)
        if encoded is not None:
            yield encoded
        elif reader.ignored or sum(len(message.text) for message in self.messages) > ENCODED_CHARACTERS:
            messages = _as_seen(self.messages, reader)
            while page := _take_page(messages):
                yield wire.encode_history(room, page)
        else:
            self._encoded[wire] = wire.encode_history(room, self.messages)
            yield self._encoded[wire]


class History:
    """Sends the history to clients that join. Reading one page may take `page_timeout` seconds."""

    def __init__(self, plugins: Plugins, page_timeout: float) -> None:
        self._plugins = plugins
        self._readers = trio.CapacityLimiter(READERS)
        self._threads = WorkerThreads(THREADS, page_timeout)
        self._parts: OrderedDict[Stretch, _Part] = OrderedDict()

    async def send_if_long(self, send: Send, reader: Reader, stretch: Stretch) -> bool:
        """Send a stretch of history if it is long. Otherwise send nothing and return False.

        Raises `HistoryUnavailable`, and `ConnectionLost` from `send`.
        """
        history = await self._ask(stretch)
        if isinstance(history, _Part):
            return False
        await self._send_pages(history, send, reader, stretch.room)
        return True

    async def send(self, send: Send, reader: Reader, stretch: Stretch) -> None:
        """Send a stretch of history. Raises the same errors as `send_if_long`."""
        history = await self._ask(stretch)
        if isinstance(history, _Part):
            with _translated():
                pages = history.pages(reader, stretch.room)
                while (page := next(pages, None)) is not None:
                    await send(page)
        else:
            await self._send_pages(history, send, reader, stretch.room)

    async def page(
        self, room: str, after: int, before: int, limit: int, *, newest: bool
    ) -> tuple[Sequence[Message], bool]:
        """Return the oldest or the `newest` messages with `after < id < before`, and whether there are more.

        They are at most `limit`, and together not much longer than `MAX_PAGE_CHARACTERS`. Raises `HistoryUnavailable`.
        """
        found = await self._asked(Stretch(room, after, before, limit + 1), newest=newest)
        with _translated():
            if isinstance(found, Sequence):
                return _page(found, limit, newest)
            async with self._readers:
                return await self._threads.run(_page, found, limit, newest)

    async def _asked(self, stretch: Stretch, *, newest: bool) -> Iterable[Message]:
        answer = await self._plugins.ask(hookspecs.history, *stretch, newest)
        if isinstance(answer, Refuse):
            raise HistoryUnavailable(f"the history cannot be shown: {answer.reason}")
        if isinstance(answer, Sequence) and newest and stretch.limit is not None:
            return answer[-stretch.limit :]  # the plugin may take no notice of the limit
        return answer or ()

    async def _ask(self, stretch: Stretch) -> _Part | Iterable[Message]:
        """Return the messages that the plugins have: a part if they are in memory, otherwise what can be read once."""
        part = self._part(stretch)
        if part.messages is not None:
            return part
        # `async with` is always a checkpoint: other tasks would run, and a storm of joins would queue up for the lock.
        if part.asking.locked():
            await part.asking.acquire()
        else:
            part.asking.acquire_nowait()
        try:
            # The session that had the lock before may have got them.
            if part.messages is None:
                answer = await self._asked(stretch, newest=True)
                if not isinstance(answer, Sequence):
                    return answer
                part.messages = answer
        finally:
            part.asking.release()
        return part

    def _part(self, stretch: Stretch) -> _Part:
        if stretch not in self._parts:
            self._parts[stretch] = _Part()
            if len(self._parts) > REMEMBERED:
                self._parts.popitem(last=False)
        return self._parts[stretch]

    async def _send_pages(self, history: Iterable[Message], send: Send, reader: Reader, room: str) -> None:
        with _translated():
            messages = _as_seen(history, reader)
            while page := await self._read_page(messages):
                await send(reader.wire.encode_history(room, page))

    async def _read_page(self, messages: Iterator[Message]) -> list[Message]:
        async with self._readers:
            return await self._threads.run(_take_page, messages)


def _as_seen(messages: Iterable[Message], reader: Reader) -> Iterator[Message]:
    """Return what a reader wants to see of them."""
    return filter(None, map(reader.as_seen, messages)) if reader.ignored else iter(messages)


def _take_page(messages: Iterator[Message]) -> list[Message]:
    page: list[Message] = []
    characters = 0
    for message in messages:
        page.append(message)
        characters += len(message.text)
        if len(page) == PAGE or characters >= PAGE_CHARACTERS:
            break
    return page


def _page(found: Iterable[Message], limit: int, newest: bool) -> tuple[Sequence[Message], bool]:
    """Return the messages at one end of those that were found, and whether there are more."""
    page = deque[Message]()
    characters = 0
    has_more = False
    for message in found:
        page.append(message)
        characters += len(message.text)
        while len(page) > limit or (characters > MAX_PAGE_CHARACTERS and len(page) > 1):
            has_more = True
            if not newest:
                page.pop()
                return list(page), has_more
            characters -= len(page.popleft().text)
    return list(page), has_more


@contextmanager
def _translated() -> Iterator[None]:
    """Raise `HistoryUnavailable` for whatever goes wrong in a plugin's history: it is not the client's fault."""
    try:
        yield
    except ConnectionLost:
        raise
    except BaseException as error:
        pass_on(error)
        logger.exception("reading the history failed")
        raise HistoryUnavailable("the rest of the history cannot be read") from error  # noqa: ASYNC104
