"""Somebody in a chat, who says lines and expects to hear others."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from trichat._base.messages import LOBBY
from trichat.testing._chat.dialogue import Dialogue, shortened, without_date

# Seconds to wait for an expected line: fewer than the server's timeouts, to tell the two apart.
PATIENCE = 4.0

# Seconds without a line that count as hearing nothing.
SILENCE = 0.5

# Seconds to wait for lines that have arrived already: in virtual time, until there is nothing left to do.
_GLANCE = 0.001

GREETING = "* welcome to trichat; type your name and press Enter"

WELCOME = re.compile(r"\* welcome, (.*?); (?:here: |you are the first here)")

# What a person hears after moving to another room.
ENTERED = re.compile(r"\* you are in (\S+); ")


class NotHeard(AssertionError):
    """A person did not hear what was expected. The text has what came instead, the dialogue so far, and the tasks."""


class Disconnected(AssertionError):
    """A person could not say something, because the server had closed the connection."""


class Line(Protocol):
    """A person's end of a connection: in memory, or over TCP."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `OSError` if the connection is closed."""

    async def receive(self) -> bytes:
        """Wait for data and return it; `b""` at the end. Raises `OSError` if it breaks."""

    def send_eof(self) -> None:
        """Send nothing more, but keep reading."""

    def close(self) -> None:
        """Close the connection in both directions."""

    def reset(self) -> None:
        """Break the connection."""

    def stop_reading(self) -> None:
        """Stop reading. Only as much arrives as a kernel would keep."""

    def read_on(self) -> None:
        """Read everything again."""


class Person:
    """Somebody at the other end of a connection. Expectations are checked line by line, in the order of arrival.

    `[date]` in an expectation stands for the date of a line. If the chat runs in virtual time, so does all waiting.
    """

    def __init__(self, label: str, dialogue: Dialogue, report: Callable[[], str], front: str | None = None) -> None:
        self.label = label
        """What the test calls this person, which is not necessarily the name in the chat."""
        self.front: str | None = front
        """The name of the front that this person speaks; `None` for the line protocol."""
        self.name: str = ""
        """The name in the chat, from the welcome until the connection ends; empty before and after."""
        self.names: list[str] = []
        """All names that this person has had in the chat, in order."""
        self.room: str = ""
        """The room that this person is in, for as long."""
        self.heard: list[str] = []
        """All lines that have arrived, whether an expectation has taken them or not."""
        self.reads: bool = True
        """Whether it is reading: `False` after `stop_reading`."""
        self.said: list[str] = []
        """The lines that it has said since the welcome."""
        self._dialogue = dialogue
        self._report = report
        """Returns text to add to a failure."""
        self._connection: Line | None = None
        self._lines: deque[str] = deque()
        self._unread = b""
        self._arriving = b""

    def __repr__(self) -> str:
        return f"<Person {self.label}>"

    def connected(self, line: Line) -> None:
        """Use `line` as the connection."""
        self._dialogue.note(self, "+" if self.front is None else f"+ {self.front}")
        self._connection = line

    @property
    def _line(self) -> Line:
        assert self._connection is not None, f"{self.label} has never connected"
        return self._connection

    def arrived(self, data: bytes) -> None:
        """Record data at its arrival. The test may read it much later."""
        if not data:
            self._is_gone()
            self._dialogue.note(self, "<")
        *lines, self._arriving = (self._arriving + data).split(b"\n")
        for line in map(_decoded, lines):
            self.heard.append(line)
            self._note_name_and_room(line)
            self._dialogue.note(self, f"< {without_date(line)}")

    def _note_name_and_room(self, line: str) -> None:
        if welcome := WELCOME.match(line):
            if not self.name:
                self.room = LOBBY
                self._is_called(welcome[1])
        elif self.name and line.startswith(f"* {self.name} is now "):
            self._is_called(line.removeprefix(f"* {self.name} is now "))
        elif entered := ENTERED.match(line):
            self.room = entered[1]

    def _is_called(self, name: str) -> None:
        self.name = name
        self.names.append(name)

    def _is_gone(self) -> None:
        self.name = self.room = ""

    async def say(self, *lines: str) -> None:
        """Type lines, all at once. Raises `Disconnected` if the server has closed the connection."""
        for line in lines:
            self._dialogue.note(self, f"> {line}")
        is_in = self.name != ""
        try:
            await self.send("".join(f"{line}\n" for line in lines).encode())
        except trio.Cancelled:
            # It was cancelled before it could say them.
            for line in lines:
                self._dialogue.take_back(self, f"> {line}")
            raise
        self.said += [line.strip() for line in lines if is_in and line.strip()]

    async def enter(self, room: str) -> list[str]:
        """Move to another room, and return what arrives up to then: its history comes last. Raises `NotHeard`."""
        await self.say(f"/join {room}")
        return await self.hears_up_to("* you are in ")

    async def rename(self, name: str) -> list[str]:
        """Take another name, and return what arrives up to then. Raises `NotHeard`, also if the name is refused."""
        before = self.name
        await self.say(f"/nick {name}")
        return await self.hears_up_to(f"* {before} is now ")

    async def tell(self, name: str, text: str) -> list[str]:
        """Tell one person something in private, and return what arrives up to the answer. Raises `NotHeard`."""
        await self.say(f"/msg {name}: {text}")
        return await self.hears_up_to("* you to ")

    async def send(self, data: bytes) -> None:
        """Send bytes, not necessarily whole lines or even text. Raises `Disconnected`."""
        try:
            await self._line.send(data)
        except OSError:
            raise Disconnected(f"{self.label} is no longer connected{self._report()}") from None

    async def hears(self, *lines: str) -> None:
        """Expect these lines, one after the other with nothing in between. Raises `NotHeard`."""
        heard: list[str] = []
        for expected in lines:
            line = await self._next(expected, PATIENCE, heard)
            if line is None:
                raise self._not_heard(expected, "the end of the connection", heard)
            if expected not in (line, without_date(line)):
                raise self._not_heard(expected, repr(line), heard)
            heard.append(line)

    async def hears_nothing(self, seconds: float = SILENCE) -> None:
        """Expect that nothing arrives in this time. Raises `NotHeard`."""
        with trio.move_on_after(seconds):
            line = await self.next_line(seconds * 2)
            came = "the end of the connection" if line is None else repr(line)
            raise NotHeard(f"{self.label} expected to hear nothing, but heard {came}{self._report()}")

    async def hears_the_end(self) -> None:
        """Expect the end of the connection, and nothing before it. Raises `NotHeard`."""
        line = await self.next_line()
        if line is not None:
            raise self._not_heard("the end of the connection", repr(line), [])

    async def next_line(self, patience: float = PATIENCE) -> str | None:
        """Return the next line; `None` at the end of the connection, in whatever way it ended. Raises `NotHeard`."""
        return await self._next("a line", patience)

    async def _next(self, expected: str, patience: float, before: Sequence[str] = ()) -> str | None:
        """Return the next line, or `None` at the end. A failure says what was `expected` and what came `before`."""
        if not self._lines:
            with trio.move_on_after(patience) as scope:
                await self._receive(expected)
            if scope.cancelled_caught:
                raise self._not_heard(expected, f"nothing for {patience:g} s", before)
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
        """Read until a line begins with `start`, and return all lines, including that one. Raises `NotHeard`."""
        lines: list[str] = []
        while not lines or not lines[-1].startswith(start):
            line = await self._next(f"{start}...", patience, lines)
            if line is None:
                raise self._not_heard(f"{start}...", "the end of the connection", lines)
            lines.append(line)
        return lines

    async def rest(self, patience: float = PATIENCE) -> list[str]:
        """Read to the end of the connection, and return the lines. Raises `NotHeard` if it does not end."""
        lines: list[str] = []
        while (line := await self._next("the end of the connection", patience, lines)) is not None:
            lines.append(line)
        return lines

    async def unheard(self) -> list[str]:
        """Return the lines that have arrived by now and no expectation has taken, without waiting for more."""
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
        self._is_gone()
        self._line.close()

    def reset(self) -> None:
        """Break the connection, like a machine that is switched off. Data that is on its way is lost."""
        self._dialogue.note(self, "!!")
        self._is_gone()
        self._line.reset()

    def send_eof(self) -> None:
        """Send nothing more but keep reading, like `nc -N` at the end of its input."""
        self._line.send_eof()

    def stop_reading(self) -> None:
        """Stop reading. Only as much arrives as a kernel would keep: 64 KiB in memory."""
        self.reads = False
        self._line.stop_reading()

    def read_on(self) -> None:
        """Read everything again, after `stop_reading`."""
        self.reads = True
        self._line.read_on()

    def _not_heard(self, expected: str, instead: str, before: Sequence[str]) -> NotHeard:
        lines = [f"{self.label} expected {shortened(expected)!r}, but heard {shortened(instead)}"]
        lines += [f"    before that: {shortened(line)!r}" for line in before[-5:]]
        lines += [f"    after that: {shortened(line)!r}" for line in list(self._lines)[:5]]
        return NotHeard("\n".join(lines) + self._report())


def _decoded(line: bytes) -> str:
    """Return a line as text. Bytes that are not UTF-8 become escapes, so that they show in a failure."""
    return line.decode(errors="backslashreplace")
