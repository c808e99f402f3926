"""Asks a spam filter. Bad: whatever goes wrong becomes an error of its own, a cancellation included."""

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
        await trio.lowlevel.checkpoint()  # in its place: what asks the filter
        return "buy now" in text
