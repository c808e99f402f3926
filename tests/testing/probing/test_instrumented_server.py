"""The server as the test kit runs it: each client, awaited call and lifespan is a part, and so is the whole server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trichat import hookimpl
from trichat.testing import Chat, cancel_everywhere, running


class Slow:
    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        await trio.lowlevel.checkpoint()
        yield

    @hookimpl
    async def on_message(self) -> None:
        await trio.lowlevel.checkpoint()


async def talk(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hi", "ho")
    await alice.hears("alice: hi", "alice: ho")


def test_each_client_each_awaited_call_each_lifespan_and_the_whole_is_a_part() -> None:
    survey = cancel_everywhere(talk, plugins=[Slow])
    parts = {case.partition(" @ ")[0] for case in survey.cases if case}
    assert parts >= {"server", "client", "lifespan slow", "lifespan chat_log", "hook slow.on_message"}
    assert "hook slow.on_message #2" in parts


async def test_without_a_probe_it_is_an_ordinary_server(virtual_time: object) -> None:
    async with running([Slow]) as chat:
        await talk(chat)
