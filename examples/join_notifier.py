"""Tell another program who joins: append a line of JSON to a file for each join.

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

# Joins that may wait for the disk. Further ones are dropped, because nobody in the chat should wait for the disk.
WAITING = 1000


class JoinNotifierOptions(Options, frozen=True):
    """The table `[plugins.join_notifier]`."""

    path: Annotated[str, "The file; relative to the folder where the server starts."] = "joins.jsonl"


class JoinNotifier:
    """Writes from a task of its own. If that task fails, the server logs it and keeps running without this plugin."""

    def __init__(self, options: JoinNotifierOptions) -> None:
        self._path = options.path
        self._send, self._receive = trio.open_memory_channel[Message](WAITING)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Write as long as the server runs. If the file cannot be opened, the server does not start."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._write)
            # Closing the channel instead of cancelling the task lets it write the joins that still wait.
            with self._send:
                yield

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Queue the joins for the task."""
        joined = [message for message in messages if message.kind == "joined"]
        for number, message in enumerate(joined):
            try:
                self._send.send_nowait(message)
            except trio.ClosedResourceError:
                break  # the lifespan is ending
            except trio.WouldBlock:
                logger.warning("%s is too slow: %d joins were dropped", self._path, len(joined) - number)
                break

    async def _write(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_file(self._path, "a", buffering=1, encoding="utf-8") as file:
            task_status.started()
            async for message in self._receive:
                join = {"time": message.time.isoformat(), "room": message.room, "name": message.sender}
                await file.write(json.dumps(join) + "\n")
