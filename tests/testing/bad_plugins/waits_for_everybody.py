"""Thanks everyone at the end. Bad: its lifespan waits until no client is left, so the plugin cannot be replaced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trichat import Server, hookimpl


class Thanks:
    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        yield
        server.notice("thank you for coming")
        while server.clients:  # noqa: ASYNC110 - nobody tells when they are gone
            await trio.sleep(0.1)
