"""Merges lines that arrive together. Bad: if the call that collects them is cancelled, lines of others are lost."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Joiner:
    def __init__(self) -> None:
        self._lines: list[str] = []

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled:
        self._lines.append(f"{client.name}: {message.text}")
        await trio.lowlevel.checkpoint()  # the others add their lines
        lines, self._lines = self._lines, []
        await trio.lowlevel.checkpoint()
        if lines:
            await client.server.say(message.room, " / ".join(lines))
        return Handled()
