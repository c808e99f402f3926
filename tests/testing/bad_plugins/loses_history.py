"""Keeps the last lines in memory, as history. Bad: it empties the buffer, waits, and loses them if cancelled."""

from collections.abc import Iterable, Sequence

import trio

from trichat import Message, hookimpl


class ShortMemory:
    def __init__(self) -> None:
        self._recent: list[Message] = []

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        recent, self._recent = self._recent, []
        await trio.lowlevel.checkpoint()  # lets other tasks run
        self._recent = [*recent, *messages][-100:]

    @hookimpl(tryfirst=True)
    def history(self, room: str, after: int, before: int) -> Iterable[Message]:
        return [message for message in self._recent if message.room == room and after < message.id < before]
