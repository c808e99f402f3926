"""Slow mode: ten lines a second. Bad: it has accepted the lines in its queue, but drops them when it ends."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trichat import Client, Handled, Message, Server, hookimpl


class SlowMode:
    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._came = trio.Event()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, server)
            yield
            nursery.cancel_scope.cancel()

    @hookimpl
    def on_message(self, client: Client, message: Message) -> Handled:
        self._waiting.append(f"{client.name}: {message.text}")
        self._came.set()
        return Handled()

    async def _pass_on(self, server: Server) -> None:
        while True:
            await self._came.wait()
            self._came = trio.Event()
            while self._waiting:
                line = self._waiting.popleft()
                await trio.sleep(0.1)
                await server.say("lobby", line)
