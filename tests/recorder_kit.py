"""A plugin that records what it is told, for tests of broadcasters."""

from collections.abc import Sequence

import trio

from trichat import Message, hookimpl


class Recorder:
    """A required plugin like the chat log. It records every batch, and fails or waits on request."""

    required = True

    def __init__(self) -> None:
        self.kept: list[Message] = []
        self.batches: list[list[str]] = []
        self.failing = False
        self.held: trio.Event | None = None

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.failing:
            raise OSError(28, "No space left on device")
        self.record(messages)

    def record(self, messages: Sequence[Message]) -> None:
        self.kept += messages
        self.batches.append([message.text or message.sentence() for message in messages])

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]
