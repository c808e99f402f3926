"""Counts the seconds. Bad: nothing ends its background task, not even a cancellation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import trio

from trichat import hookimpl


class Seconds:
    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run)
            yield
            nursery.cancel_scope.cancel()

    async def _run(self) -> None:
        for self.count in count():
            try:  # noqa: SIM105
                await trio.sleep(1)
            except BaseException:  # noqa: ASYNC103
                pass
