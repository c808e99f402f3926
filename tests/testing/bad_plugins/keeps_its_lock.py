"""`/spell TEXT` asks a spell checker, one at a time. Bad: who is cancelled never lets the others have their turn."""

import trio

from trichat import Client, command


class SpellChecker:
    def __init__(self) -> None:
        self._turn = trio.Semaphore(1)

    @command("spell", help="check the spelling")
    async def spell(self, client: Client, text: str) -> str:
        await self._turn.acquire()
        corrected = await self._corrected(text)
        self._turn.release()
        return corrected

    async def _corrected(self, text: str) -> str:
        await trio.lowlevel.checkpoint()  # in its place: what asks the spell checker
        return text.replace("teh", "the")
