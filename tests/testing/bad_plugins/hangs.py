"""`!poke` waits until somebody else says something. Bad: that may never happen."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Poke:
    def __init__(self) -> None:
        self._answered = trio.Event()

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled | None:
        if message.text != "!poke":
            self._answered.set()
            return None
        self._answered = trio.Event()
        await client.server.say(message.room, f"{client.name} pokes everybody")
        await self._answered.wait()
        return Handled()
