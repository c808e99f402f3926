"""Tells everybody the time at noon. Bad: it never forgets clients that have left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trichat import Client, hookimpl

DAY = 24 * 3600


class NoonBell:
    def __init__(self) -> None:
        self._clients: list[Client] = []

    @hookimpl
    def on_join(self, client: Client) -> None:
        self._clients.append(client)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ring)
            yield
            nursery.cancel_scope.cancel()

    async def _ring(self) -> None:
        while True:
            await trio.sleep(DAY)
            for client in self._clients:
                client.send("it is noon")
