"""Merges lines that arrive together. Bad: if the call that collects them is cancelled, it never says a line again."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Joiner:
    def __init__(self) -> None:
        self._lines: list[str] = []

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled:
        self._lines.append(f"{client.name}: {message.text}")
        if len(self._lines) == 1:
            await trio.lowlevel.checkpoint()  # the first call lets the others add their lines
            lines, self._lines = self._lines, []
            await client.server.say(client.room, " / ".join(lines))
        return Handled()
