"""Copies messages to a file. Bad: a cancellation at `yield` skips the line that closes the file."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TextIO

from trichat import Message, hookimpl

open_files: dict[str, TextIO] = {}


@hookimpl
@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    open_files["copy"] = open("copy.txt", "a")  # noqa: ASYNC230, SIM115
    yield
    open_files.pop("copy").close()


@hookimpl
def on_broadcast(messages: Sequence[Message]) -> None:
    open_files["copy"].writelines(f"{message.text}\n" for message in messages)
