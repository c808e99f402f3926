"""Adds its title to a link. Bad: after any error, even a cancellation, it passes the line on without a title."""

import trio

from trichat import Message, hookimpl


class LinkTitles:
    @hookimpl
    async def on_message(self, message: Message) -> Message | None:
        try:
            title = await self._title_of(message.text)
        except BaseException:  # noqa: ASYNC103
            return None  # noqa: ASYNC104 - better a line without its title than none
        return message.with_text(f"{message.text} ({title})") if title else None

    async def _title_of(self, text: str) -> str:
        await trio.lowlevel.checkpoint()  # stands for asking the web server
        return "an example" if text.startswith("http://") else ""
