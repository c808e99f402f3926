"""Posts every line to a web page. Bad: in `on_broadcast` everybody waits for that."""

from collections.abc import Sequence

import trio

from trichat import Message, hookimpl


class Mirror:
    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        for _ in messages:
            await trio.sleep(0.2)  # in its place: what asks the web server
