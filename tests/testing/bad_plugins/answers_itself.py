"""Comments on everything. Bad: on its own comments, too."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from trichat import Message, Server, hookimpl


class Comments:
    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Message](100)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._comment, server)
            yield
            nursery.cancel_scope.cancel()

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.kind in ("said", "notice"):
                self._send.send_nowait(message)

    async def _comment(self, server: Server) -> None:
        async for message in self._receive:
            await server.say(message.room, "how interesting!")
