"""Says the translation of each line. Bad: if the translation is cancelled, it drops the line and tells nobody."""

import trio

from trichat import Client, Handled, Message, hookimpl


class Translator:
    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled:
        try:
            text = await self._translated(message.text)
        except trio.Cancelled:  # noqa: ASYNC103
            return Handled()  # noqa: ASYNC104
        await client.server.say(client.room, f"{client.name}: {text}")
        return Handled()

    async def _translated(self, text: str) -> str:
        await trio.lowlevel.checkpoint()  # stands for asking the translator
        return text.replace("hello", "servus")
