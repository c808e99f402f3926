"""The line protocol on its way out: messages as UTF-8 lines, for people with `nc`."""

import time
from collections.abc import Sequence
from functools import lru_cache

from trichat._base.messages import Message


class LineWire:
    """Encodes messages for clients of the line protocol."""

    echoes = True

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Encode live messages: `alice: hello`, `** alice waves`, and `* alice joined` for what no person said."""
        text = "\n".join([*map(_line, messages), ""])
        if text.count("\n") != len(messages):  # asking this for each message would take longer
            text = "\n".join([*(line for message in messages for line in _lines(message)), ""])
        return text.encode()

    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:  # noqa: ARG002 - it is in one room
        """Encode messages of the past: `[2026-11-22 13:29:00] alice: hello`, in UTC."""
        lines = ((_date(message.id // 1_000_000), line) for message in messages for line in _lines(message))
        return "".join([f"[{date}] {line}\n" for date, line in lines]).encode()


def _line(message: Message) -> str:
    if message.bare or (message.kind == "said" and message.rooms):  # nearly all messages are bare
        return f"{message.sender}: {message.text}"
    if not message.rooms and message.about:
        return f"* {message.sender} to you: {message.text}"
    # Two stars, so that nobody can seem to have left by `/me left`.
    return f"{'**' if message.kind == 'did' else '*'} {message.sentence()}"


def _lines(message: Message) -> list[str]:
    """Return a line for each line of the text, each with who said it: otherwise one could look like another's."""
    if "\n" not in message.text:
        return [_line(message)]
    return [_line(message.with_text(text)) for text in message.text.split("\n")]


@lru_cache(maxsize=1024)
def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
