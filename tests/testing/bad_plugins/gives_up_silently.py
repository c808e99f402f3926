"""Translates, and says the line itself. Bad: a line is dropped without a word if its translation is cancelled."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Translator:
    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled:
        try:
            text = await self._translated(message.text)
        except trio.Cancelled:  # noqa: ASYNC103
            return Handled()  # noqa: ASYNC104
        await client.server.say(message.room, f"{client.name}: {text}")
        return Handled()

    async def _translated(self, text: str) -> str:
        await trio.lowlevel.checkpoint()  # in its place: what asks the translator
        return text.replace("hello", "servus")
