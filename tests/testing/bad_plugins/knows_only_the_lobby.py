"""Counts the messages of each room. Bad: it does not expect a room that people have made."""

from collections.abc import Sequence

from trichat import LOBBY, Message, hookimpl


class Statistics:
    def __init__(self) -> None:
        self._counts = {LOBBY: 0}

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._counts[message.room] += 1
