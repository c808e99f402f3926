"""Checks one line of each person at a time. Bad: after a cancelled check, that person can never speak again."""

import trio

from trichat import Client, Message, Refuse, hookimpl


class OneAtATime:
    def __init__(self) -> None:
        self._busy: set[str] = set()

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Refuse | None:
        if client.name in self._busy:
            return Refuse("your last line is still being checked")
        self._busy.add(client.name)
        await trio.lowlevel.checkpoint()  # stands for the check
        self._busy.remove(client.name)
        return None
