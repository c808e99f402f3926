"""`/spell TEXT` asks a spell checker, one client at a time. Bad: a cancelled call never releases the semaphore."""

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
        await trio.lowlevel.checkpoint()  # stands for asking the spell checker
        return text.replace("teh", "the")
