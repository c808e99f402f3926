"""The history, as it is sent to those who join.

What is short is asked for and encoded once for all who join at the same point of the order; what is long is read in
worker threads and sent a page at a time, so that memory does not grow with the log.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import trio

from trichat import hookspecs
from trichat._base.errors import ConnectionLost, TrichatError
from trichat._base.failures import pass_on
from trichat._base.messages import Message, Refuse
from trichat._base.worker_threads import WorkerThreads
from trichat._fronts.wire import Wire
from trichat._net.outbox import Send
from trichat._plugins.dispatch import Plugins

logger = logging.getLogger("trichat.history")

# What is read, encoded and sent in one go: a few milliseconds of work, and little memory for each client that does not
# take it. A page ends at the first of the two.
PAGE = 500
PAGE_CHARACTERS = 16_384

# A short history of at most so many characters is kept encoded, in one piece, for all who see the same part of it.
ENCODED_CHARACTERS = 100_000

# Parts of the history that are kept: in a storm of joins, the sessions of a few batches need different ones.
REMEMBERED = 8

# Pages that are read at a time. More would only slow each other down, and the loop with them.
READERS = 4

# Threads that may hang with the disk, each with a page that was abandoned after its timeout, until no more are begun.
THREADS = 40


class HistoryUnavailable(TrichatError):
    """A plugin that keeps the history failed; the text is for the joiner."""


class _Part:
    """The messages of a room between two ids: asked for by one session, for all."""

    def __init__(self) -> None:
        self.asking = trio.Lock()
        self.messages: Sequence[Message] | None = None
        """`None` until a session has asked; if they are not in memory, it stays so."""
        self._encoded: dict[Wire, bytes] = {}

    def pages(self, wire: Wire) -> Iterator[bytes]:
        """Yield the messages as they look on `wire`."""
        assert self.messages is not None
        encoded = self._encoded.get(wire)
        if encoded is not None:
            yield encoded
        elif sum(len(message.text) for message in self.messages) > ENCODED_CHARACTERS:
            messages = iter(self.messages)
            while page := _take_page(messages):
                yield wire.encode_history(page)
        else:
            self._encoded[wire] = wire.encode_history(self.messages)
            yield self._encoded[wire]


class History:
    """Sends the history to those who join. To read one page may take `page_timeout` seconds."""

    def __init__(self, plugins: Plugins, page_timeout: float) -> None:
        self._plugins = plugins
        self._readers = trio.CapacityLimiter(READERS)
        self._threads = WorkerThreads(THREADS, page_timeout)
        self._parts: OrderedDict[tuple[str, int, int], _Part] = OrderedDict()

    async def send_if_long(self, send: Send, wire: Wire, room: str, after: int, before: int) -> bool:
        """Send the messages with `after < id < before` if they are many; otherwise return False and send nothing.

        Raises `HistoryUnavailable`, and `ConnectionLost` from `send`.
        """
        history = await self._ask(room, after, before)
        if isinstance(history, _Part):
            return False
        await self._send_pages(history, send, wire)
        return True

    async def send(self, send: Send, wire: Wire, room: str, after: int, before: int) -> None:
        """Send the messages with `after < id < before`. Raises like `send_if_long`."""
        history = await self._ask(room, after, before)
        if isinstance(history, _Part):
            with _translated():
                pages = history.pages(wire)
                while (page := next(pages, None)) is not None:
                    await send(page)
        else:
            await self._send_pages(history, send, wire)

    async def _ask(self, room: str, after: int, before: int) -> _Part | Iterable[Message]:
        """Return the messages that the plugins have: as a part if they are in memory, otherwise to be read once."""
        part = self._part(room, after, before)
        if part.messages is not None:
            return part
        # `async with` would let others go on in between, and a storm of joins would queue up behind the first of them.
        if part.asking.locked():
            await part.asking.acquire()
        else:
            part.asking.acquire_nowait()
        try:
            # Whoever had the lock before may have got them.
            if part.messages is None:
                answer = await self._plugins.ask(hookspecs.history, room, after, before)
                if isinstance(answer, Refuse):
                    raise HistoryUnavailable(f"the history cannot be shown: {answer.reason}")
                if answer is not None and not isinstance(answer, Sequence):
                    return answer
                part.messages = answer or ()
        finally:
            part.asking.release()
        return part

    def _part(self, room: str, after: int, before: int) -> _Part:
        key = (room, after, before)
        if key not in self._parts:
            self._parts[key] = _Part()
            if len(self._parts) > REMEMBERED:
                self._parts.popitem(last=False)
        return self._parts[key]

    async def _send_pages(self, history: Iterable[Message], send: Send, wire: Wire) -> None:
        with _translated():
            messages = iter(history)
            while page := await self._read_page(messages):
                await send(wire.encode_history(page))

    async def _read_page(self, messages: Iterator[Message]) -> list[Message]:
        async with self._readers:
            return await self._threads.run(_take_page, messages)


def _take_page(messages: Iterator[Message]) -> list[Message]:
    page: list[Message] = []
    characters = 0
    for message in messages:
        page.append(message)
        characters += len(message.text)
        if len(page) == PAGE or characters >= PAGE_CHARACTERS:
            break
    return page


@contextmanager
def _translated() -> Iterator[None]:
    """Whatever is wrong with what a plugin gave as its history, it is not the client's fault."""
    try:
        yield
    except ConnectionLost:
        raise
    except BaseException as error:
        pass_on(error)
        logger.exception("reading the history failed")
        raise HistoryUnavailable("the rest of the history cannot be read") from error  # noqa: ASYNC104
