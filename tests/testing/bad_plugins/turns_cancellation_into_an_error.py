"""Asks a spam filter. Bad: it turns every error into one of its own, even a cancellation."""

import trio

from trichat import Message, Refuse, hookimpl


class FilterError(Exception):
    pass


class SpamFilter:
    @hookimpl
    async def on_message(self, message: Message) -> Refuse | None:
        try:
            is_spam = await self._ask(message.text)
        except BaseException as error:
            raise FilterError("the spam filter does not answer") from error  # noqa: ASYNC104
        return Refuse("that is spam") if is_spam else None

    async def _ask(self, text: str) -> bool:
        await trio.lowlevel.checkpoint()  # stands for asking the filter
        return "buy now" in text
