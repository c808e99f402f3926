"""Somebody in a chat: says lines, and expects to hear others."""

import re
from collections import deque
from collections.abc import Callable
from typing import Protocol

import trio

from trichat.testing._chat.dialogue import Dialogue, shortened, without_date

# How long to wait for what has to come, in seconds: shorter than the server's timeouts, to tell the two apart.
PATIENCE = 4.0

# How long nothing has to come, until it counts as nothing.
SILENCE = 0.5

# How long to look at what has arrived: in virtual time, until everybody has done all there was to do.
_GLANCE = 0.001

GREETING = "* welcome to trichat; type your name and press Enter"

_WELCOME = re.compile(r"\* welcome, (.*?); (?:here: |you are the first here)")


class NotHeard(AssertionError):
    """Somebody did not hear what was expected. The text says what came instead, and how it came to that."""


class Disconnected(AssertionError):
    """Somebody wanted to say something, but the server had closed the connection."""


class Line(Protocol):
    """A person's end of a connection: in memory, or over TCP."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `OSError` if the connection is closed."""

    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` at the end. Raises `OSError` if it breaks."""

    def send_eof(self) -> None:
        """Say no more, and read on."""

    def close(self) -> None:
        """Close the connection in both directions."""

    def reset(self) -> None:
        """Break the connection."""

    def stop_reading(self) -> None:
        """Take no more than the kernel does for somebody who does not read."""

    def read_on(self) -> None:
        """Take everything again."""


class Person:
    """Somebody at the other end of a connection, who hears line by line. `[date]` stands for the date of a line.

    All waiting is done in virtual time, if the chat runs in it.
    """

    def __init__(self, name: str, dialogue: Dialogue, report: Callable[[], str]) -> None:
        self.name = name
        """What the test calls it; not necessarily what the chat does."""
        self.heard: list[str] = []
        """All lines that have arrived, whether a test has asked for them or not."""
        self.reads: bool = True
        """Whether it takes what is sent to it: no more after `stop_reading`."""
        self.chat_name: str = ""
        """What the chat calls it, from its welcome until the connection ends; empty before and after."""
        self.said: list[str] = []
        """The lines that it has said meanwhile."""
        self._dialogue = dialogue
        self._report = report
        """What to add to a failure."""
        self._connection: Line | None = None
        self._lines: deque[str] = deque()
        self._unread = b""
        self._arriving = b""

    def __repr__(self) -> str:
        return f"<Person {self.name}>"

    def connected(self, line: Line) -> None:
        """Be at this end of a connection."""
        self._connection = line

    @property
    def _line(self) -> Line:
        assert self._connection is not None, f"{self.name} has never connected"
        return self._connection

    def arrived(self, data: bytes) -> None:
        """Write down what arrives, when it does: it may be read much later."""
        if not data:
            self.chat_name = ""
            self._dialogue.note(self, "<")
        *lines, self._arriving = (self._arriving + data).split(b"\n")
        for line in lines:
            self.heard.append(_decoded(line))
            welcome = _WELCOME.match(self.heard[-1])
            self.chat_name = welcome[1] if welcome and not self.chat_name else self.chat_name
            self._dialogue.note(self, f"< {without_date(self.heard[-1])}")

    async def say(self, *lines: str) -> None:
        """Type lines, all at once. Raises `Disconnected`."""
        for line in lines:
            self._dialogue.note(self, f"> {line}")
        is_in = self.chat_name != ""
        try:
            await self.send("".join(f"{line}\n" for line in lines).encode())
        except trio.Cancelled:
            # Who is kept from saying something has not said it.
            for line in lines:
                self._dialogue.take_back(self, f"> {line}")
            raise
        self.said += [line.strip() for line in lines if is_in and line.strip()]

    async def send(self, data: bytes) -> None:
        """Send bytes that are no whole lines, or not even text. Raises `Disconnected`."""
        try:
            await self._line.send(data)
        except OSError:
            raise Disconnected(f"{self.name} is not connected any more{self._report()}") from None

    async def hears(self, *lines: str) -> None:
        """Expect these lines, one after the other, and nothing between. Raises `NotHeard`."""
        heard: list[str] = []
        for expected in lines:
            line = await self._next(expected, PATIENCE)
            if line is None:
                raise self._not_heard(expected, "the end of the connection", heard)
            if expected not in (line, without_date(line)):
                raise self._not_heard(expected, repr(line), heard)
            heard.append(line)

    async def hears_nothing(self, seconds: float = SILENCE) -> None:
        """Expect that nothing comes for so long. Raises `NotHeard`."""
        with trio.move_on_after(seconds):
            line = await self.next_line(seconds * 2)
            came = "the end of the connection" if line is None else repr(line)
            raise NotHeard(f"{self.name} was to hear nothing, but there came {came}{self._report()}")

    async def hears_the_end(self) -> None:
        """Expect the end of the connection, and nothing before it. Raises `NotHeard`."""
        line = await self.next_line()
        if line is not None:
            raise self._not_heard("the end of the connection", repr(line), [])

    async def next_line(self, patience: float = PATIENCE) -> str | None:
        """Return the next line; `None` at the end of the connection, however it ended. Raises `NotHeard`."""
        return await self._next("a line", patience)

    async def _next(self, expected: str, patience: float) -> str | None:
        if not self._lines:
            with trio.move_on_after(patience) as scope:
                await self._receive(expected)
            if scope.cancelled_caught:
                raise self._not_heard(expected, f"nothing for {patience:g} s", [])
        return self._lines.popleft() if self._lines else None

    async def _receive(self, expected: str) -> None:
        """Wait for whole lines, or for the end."""
        while not self._lines:
            try:
                data = await self._line.receive()
            except OSError:
                return
            if not data:
                if self._unread:
                    raise self._not_heard(expected, f"half a line before the end: {self._unread!r}", [])
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            self._lines += map(_decoded, lines)

    async def hears_up_to(self, start: str, patience: float = PATIENCE) -> list[str]:
        """Read until a line begins with `start`, and return all, that one included. Raises `NotHeard`."""
        lines: list[str] = []
        while not lines or not lines[-1].startswith(start):
            line = await self._next(f"{start}...", patience)
            if line is None:
                raise self._not_heard(f"{start}...", "the end of the connection", lines)
            lines.append(line)
        return lines

    async def rest(self, patience: float = PATIENCE) -> list[str]:
        """Read to the end of the connection, and return what came. Raises `NotHeard` if it does not end."""
        lines: list[str] = []
        while (line := await self._next("the end of the connection", patience)) is not None:
            lines.append(line)
        return lines

    async def unheard(self) -> list[str]:
        """Return what has arrived by now and was not asked for, without waiting for more."""
        lines: list[str] = []
        while True:
            with trio.move_on_after(_GLANCE):
                await self._receive("a line")
            if not self._lines:
                return lines
            lines += self._lines
            self._lines.clear()

    def hang_up(self) -> None:
        """Close the connection."""
        self._dialogue.note(self, "!")
        self.chat_name = ""
        self._line.close()

    def reset(self) -> None:
        """Break the connection, as a machine does that was switched off: what is on its way is lost."""
        self._dialogue.note(self, "!!")
        self.chat_name = ""
        self._line.reset()

    def send_eof(self) -> None:
        """Say no more, and go on hearing, as `nc -N` does at the end of its input."""
        self._line.send_eof()

    def stop_reading(self) -> None:
        """Take nothing any more, but for what a kernel keeps for somebody who does not read."""
        self.reads = False
        self._line.stop_reading()

    def read_on(self) -> None:
        """Take everything again, after `stop_reading`."""
        self.reads = True
        self._line.read_on()

    def _not_heard(self, expected: str, instead: str, before: list[str]) -> NotHeard:
        lines = [f"{self.name} was to hear {shortened(expected)!r}, but there came {shortened(instead)}"]
        lines += [f"    it had heard {shortened(line)!r}" for line in before[-5:]]
        lines += [f"    and has not been asked for {shortened(line)!r}" for line in list(self._lines)[:5]]
        return NotHeard("\n".join(lines) + self._report())


def _decoded(line: bytes) -> str:
    """Return a line as text. What is none is nothing that was expected, and as such to be seen."""
    return line.decode(errors="backslashreplace")
