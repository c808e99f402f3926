"""Answers every line. Bad: it awaits `say` in `on_broadcast`, which the broadcaster waits for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from trichat import Message, Server, hookimpl


class Pong:
    def __init__(self) -> None:
        self._server: Server

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self._server = server
        async with trio.open_nursery():
            yield

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.kind == "said":
                await self._server.say(message.room, f"{message.sender} has said: {message.text}")
                await self._server.say(message.room, "that is interesting")
                await self._server.say(message.room, "who would have thought it?")
