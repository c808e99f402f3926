"""Tells another program who joins: it appends a line of JSON to a file for each, as a webhook would post it.

Run it with `trichat serve --plugin examples/join_notifier.py`, and watch with `tail -F joins.jsonl`.
"""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import trio

from trichat import Message, Options, hookimpl

logger = logging.getLogger("trichat.join_notifier")

# Joins that may wait for the disk. More are dropped: nobody in the chat is to wait for it.
WAITING = 1000


class JoinNotifierOptions(Options, frozen=True):
    """The table `[plugins.join_notifier]`."""

    path: Annotated[str, "The file; relative to where the server was started."] = "joins.jsonl"


class JoinNotifier:
    """Writes from a task of its own. If that fails, the server logs it and goes on without this plugin."""

    def __init__(self, options: JoinNotifierOptions) -> None:
        self._path = options.path
        self._send, self._receive = trio.open_memory_channel[Message](WAITING)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Write as long as the server runs. A file that cannot be opened refuses the start."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._write)
            # Closing the channel, rather than cancelling the task, lets it write what still waits.
            with self._send:
                yield

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Hand over who joined."""
        joined = [message for message in messages if message.kind == "joined"]
        for number, message in enumerate(joined):
            try:
                self._send.send_nowait(message)
            except trio.ClosedResourceError:
                break  # it is being left
            except trio.WouldBlock:
                logger.warning("%s is too slow: %d joins are not in it", self._path, len(joined) - number)
                break

    async def _write(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_file(self._path, "a", buffering=1, encoding="utf-8") as file:
            task_status.started()
            async for message in self._receive:
                join = {"time": message.time.isoformat(), "room": message.room, "name": message.sender}
                await file.write(json.dumps(join) + "\n")
