"""Corrects each line, one at a time. Bad: a cancelled call never releases the semaphore, and nobody can speak."""

import trio

from trichat import Message, hookimpl


class SpellChecker:
    def __init__(self) -> None:
        self._turn = trio.Semaphore(1)

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        await self._turn.acquire()
        text = await self._corrected(message.text)
        self._turn.release()
        return message.with_text(text)

    async def _corrected(self, text: str) -> str:
        await trio.lowlevel.checkpoint()  # stands for asking the spell checker
        return text.replace("teh", "the")
