"""Hooks that note their calls, and how a message and its batch go through the plugins."""

import inspect

import trio
from made_kit import Hook

from trichat import Client, Handled, Message, Refuse
from trichat._plugins.dispatch import Plugins

HELLO = Message("hello", "alice")


async def ask_message(plugins: Plugins, client: Client) -> Message | Handled | Refuse:
    with plugins.deadlines.calls() as calls:
        answer = plugins.ask_message(client, HELLO, calls)
        return await answer if inspect.isawaitable(answer) else answer


async def tell_batch(plugins: Plugins) -> None:
    with plugins.deadlines.calls() as calls:
        telling = plugins.tell_batch([HELLO], calls)
        if telling is not None:
            await telling


def noting(calls: list[str], name: str, answer: object = None) -> Hook:
    def hook() -> object:
        calls.append(name)
        return answer

    return hook


def noting_later(calls: list[str], name: str, answer: object = None) -> Hook:
    async def hook() -> object:
        await trio.lowlevel.checkpoint()
        calls.append(name)
        return answer

    return hook
