"""The line protocol on its way out: messages as UTF-8 lines, for people with `nc`."""

import time
from collections.abc import Sequence
from functools import lru_cache

from trichat._base.messages import Message
from trichat._base.text import printable
from trichat._fronts.line.decoder import LineDecoder


class LineWire:
    """The line protocol, with lines of at most `max_line_bytes` (without their end)."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes

    def decoder(self) -> LineDecoder:
        """Return a decoder for a new connection."""
        return LineDecoder(self._max_line_bytes)

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Encode live messages: `alice: hello`, and `* alice joined` for what no person said."""
        return "\n".join([*map(_line, messages), ""]).encode()

    def encode_history(self, messages: Sequence[Message]) -> bytes:
        """Encode messages of the past: `[2026-11-22 13:29:00] alice: hello`, in UTC."""
        return "".join([f"[{_date(message.id // 1_000_000)}] {_line(message)}\n" for message in messages]).encode()

    def encode_notice(self, text: str) -> bytes:
        """Encode what the server says to one client: each line starts with `* `."""
        return "".join([f"* {printable(line)}\n" for line in text.split("\n")]).encode()


def _line(message: Message) -> str:
    if message.kind == "said":
        return f"{message.sender}: {message.text}"
    return f"* {message.text}"


@lru_cache(maxsize=1024)
def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
