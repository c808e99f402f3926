"""Has a spell checker correct every line, one at a time. Bad: if one is cancelled, nobody can say anything any more."""

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
        await trio.lowlevel.checkpoint()  # in its place: what asks the spell checker
        return text.replace("teh", "the")
