"""Copies messages to a file. Bad: it refuses a file that exists already, so it cannot start twice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TextIO

from trichat import Message, hookimpl


class Copy:
    def __init__(self) -> None:
        self._file: TextIO

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        with open("copy.txt", "x") as self._file:  # noqa: ASYNC230
            yield

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self._file.writelines(f"{message.text}\n" for message in messages)
