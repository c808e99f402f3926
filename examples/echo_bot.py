"""A bot that answers `!time` with the time of the question, in UTC, for the whole room to read.

Run it with `trichat serve --plugin examples/echo_bot.py`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import trio

from trichat import Message, Server, hookimpl

# Questions that may wait for their answer. Further ones get no answer, so a flood of questions does no harm.
WAITING = 10


class EchoBot:
    """Answers from a task of its own, because `server.say` may have to wait and `on_broadcast` must not."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Message](WAITING)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Answer for as long as the server runs."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, server)
            yield
            # Everybody has left by now, so nobody misses an answer.
            nursery.cancel_scope.cancel()

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Queue the questions. The bot never answers itself: what the server says has the kind `notice`, not `said`."""
        for message in messages:
            if message.kind == "said" and message.text.strip() == "!time":
                with suppress(trio.WouldBlock):
                    self._send.send_nowait(message)

    async def _answer(self, server: Server) -> None:
        async for question in self._receive:
            await server.say(question.room, f"it is {question.time:%H:%M:%S} UTC")
