"""Joins lines that come at once to one. Bad: if whoever collects them is cancelled, no line is ever passed on."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Joiner:
    def __init__(self) -> None:
        self._lines: list[str] = []

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled:
        self._lines.append(f"{client.name}: {message.text}")
        if len(self._lines) == 1:
            await trio.lowlevel.checkpoint()  # who comes first lets the others add theirs
            lines, self._lines = self._lines, []
            await client.server.say(message.room, " / ".join(lines))
        return Handled()
