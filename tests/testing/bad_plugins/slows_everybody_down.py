"""Posts every line to a web page. Bad: it does so in `on_broadcast`, so everybody waits."""

from collections.abc import Sequence

import trio

from trichat import Message, hookimpl


class Mirror:
    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        for _ in messages:
            await trio.sleep(0.2)  # stands for asking the web server
