"""Counts the minutes. Bad: its lifespan ends by waiting for a task that never ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trichat import hookimpl


class Minutes:
    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run)
            yield

    async def _run(self) -> None:
        while True:
            await trio.sleep(60)
            self.count += 1
