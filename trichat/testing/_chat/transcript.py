"""Transcripts: dialogues as people see them, which the kit plays and compares.

    | [plugins.stop]                a line of the configuration, at the top
    | plugin = ["dice.py"]          more plugins, as for --plugin; files are next to the transcript
    # a comment
    alice> hello                    alice types `hello`; she connects first, if necessary
    alice+                          alice only connects
    ci+ json                        ci connects over the front `json`, which a listener of a plugin carries
    bob< alice: hello               bob hears this line; `[date]` stands for any date
    bob< * you have [...] messages  `[...]` stands for any text
    ci< {"cursor":"[...seen]"}      a blank with a name stands for the same text wherever it comes again,
    ci> {"after": "[...seen]"}      also in what somebody says
    bob<                            bob hears the end of the connection
    alice!                          alice hangs up
    alice!!                         the connection breaks
    --- 30s                         time passes

Write what people hear after the action that causes it. Each person's lines are in order; none may be missing or left
over.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from trichat._base.errors import TrichatError
from trichat.testing._chat.blanks import Blanks
from trichat.testing._chat.chat import Chat, running
from trichat.testing._chat.dialogue import Dialogue, visible
from trichat.testing._chat.person import Person
from trichat.testing._chat.tcp_line import SocketLine
from trichat.testing._chat.virtual_time import run

_LINE = re.compile(
    r"(?P<who>\w+)(?:> ?(?P<says>.*)|(?P<hears><)(?: (?P<heard>.*))?|(?P<does>!!|!)|\+(?: (?P<front>\w+))?)"
    r"|--- (?P<seconds>\d+(?:\.\d+)?)s"
)

# Over TCP: seconds to wait for expected lines, and seconds in which no other line may come.
PATIENCE = 5.0
SILENCE = 0.2


class TranscriptError(TrichatError):
    """A transcript cannot be read. The text names the line."""


class Mismatch(AssertionError):
    """People did not hear what the transcript says. The text is the difference."""


class Entry(NamedTuple):
    """A line of a transcript: something that somebody does or hears, or time that passes."""

    text: str
    match: re.Match[str]

    @property
    def is_heard(self) -> bool:
        """Whether it is something that somebody hears, and not something to do."""
        return bool(self.match["hears"])


class Transcript(NamedTuple):
    """A dialogue, and the plugins and configuration of its server."""

    name: str
    config: dict[str, dict[str, object]]
    plugins: Sequence[str]
    entries: Sequence[Entry]

    @classmethod
    def parse(cls, text: str, name: str = "transcript", folder: Path | None = None) -> "Transcript":
        """Parse a transcript whose plugin files are in `folder`. Raises `TranscriptError`."""
        header: list[str] = []
        entries: list[Entry] = []
        for number, line in enumerate(text.splitlines(), 1):
            match = _LINE.fullmatch(line)
            if line.startswith("| "):
                header.append(line[2:])
            elif match:
                entries.append(Entry(line, match))
            elif line.strip() and not line.startswith("#"):
                raise TranscriptError(f"{name}:{number}: not a line of a transcript: {line!r}")
        try:
            tables = tomllib.loads("\n".join(header))
        except tomllib.TOMLDecodeError as error:
            raise TranscriptError(f"{name}: the configuration is not TOML ({error})") from None
        plugins = tables.pop("plugin", [])
        if not isinstance(plugins, list) or not all(isinstance(plugin, str) for plugin in plugins):
            raise TranscriptError(f"{name}: plugin: expected a list of files or modules (here: {plugins!r})")
        found = [str(folder / each) if folder and each.endswith(".py") else each for each in plugins]
        return cls(name, tables, found, entries)

    @classmethod
    def read(cls, path: Path) -> "Transcript":
        """Read a transcript from a file. Raises `TranscriptError`."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TranscriptError(f"{path}: cannot be read ({error})") from None
        return cls.parse(text, str(path), path.parent)


def play_file(path: Path) -> None:
    """Play a transcript on a server of its own, in memory and in virtual time. Raises `Mismatch`."""
    transcript = Transcript.read(path)
    run(play, transcript)


async def play(transcript: Transcript) -> None:
    """Play a transcript on a server of its own, in memory. Raises `Mismatch`."""
    async with running(transcript.plugins, transcript.config) as chat:
        await _play(transcript, _InMemory(chat))


async def play_over_tcp(
    transcript: Transcript, host: str, port: int, fronts: Mapping[str, tuple[str, int]] | None = None
) -> None:
    """Play a transcript on a server that is already running. The transcript's configuration is ignored.

    `fronts` says where else the server listens: a host and a port for each front besides the line protocol, by name.
    Raises `Mismatch`, `TranscriptError` for a front that is not among them, and `OSError` if it cannot connect.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        backend = _OverTcp({**(fronts or {}), "": (host, port)}, nursery)
        try:
            await _play(transcript, backend)
        except (AssertionError, TrichatError, OSError) as error:
            # It is raised below, so that it does not become part of an exception group.
            failure = error
        finally:
            backend.close()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Backend(Protocol):
    """The server that a transcript is played on."""

    dialogue: Dialogue

    async def connect(self, name: str, front: str) -> Person:
        """Connect somebody over the front of this name; without one, over the line protocol. Raises `LookupError`."""

    async def wait_for(self, expected: Sequence[str], since: int) -> None:
        """Wait until everybody has heard everything, including the lines in `expected`."""


class _InMemory:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self.dialogue = chat.dialogue

    async def connect(self, name: str, front: str) -> Person:
        return self._chat.connect_silently(name=name, front=front)

    async def wait_for(self, expected: Sequence[str], since: int) -> None:  # noqa: ARG002
        await self._chat.settled()


class _OverTcp:
    def __init__(self, places: Mapping[str, tuple[str, int]], nursery: trio.Nursery) -> None:
        self.dialogue = Dialogue()
        self._places = places
        self._nursery = nursery
        self._lines: list[SocketLine] = []
        self._came = trio.Event()

    async def connect(self, name: str, front: str) -> Person:
        if front not in self._places:
            raise LookupError(f"it is not known where the server listens for the front {front!r}")
        person = Person(name, self.dialogue, lambda: "", front or None)
        line = await SocketLine.connect(*self._places[front])
        self._lines.append(line)
        person.connected(line)
        self._nursery.start_soon(self._read, person, line)
        return person

    async def _read(self, person: Person, line: SocketLine) -> None:
        data = b"?"
        while data:
            try:
                data = await line.receive()
            except OSError:
                data = b""
            if not line.closed:
                person.arrived(data)
            self._came.set()

    async def wait_for(self, expected: Sequence[str], since: int) -> None:
        with trio.move_on_after(PATIENCE):
            await self._arrival_of(len(expected), since)
        # Wait whether anything else comes.
        await trio.sleep(SILENCE)

    async def _arrival_of(self, count: int, since: int) -> None:
        while len(_heard(self.dialogue, since)) < count:
            self._came = trio.Event()
            await self._came.wait()

    def close(self) -> None:
        for line in self._lines:
            line.close()


async def _play(transcript: Transcript, backend: _Backend) -> None:
    people: dict[str, Person] = {}
    blanks = Blanks()
    expected: list[str] = []
    played: list[str] = []
    entries = list(transcript.entries)
    # Alternate groups: actions, and the lines that are heard after them.
    groups = [list(group) for _, group in groupby(entries, key=lambda entry: entry.is_heard)]
    if groups and groups[0][0].is_heard:
        raise TranscriptError(f"{transcript.name}: it begins with a line that somebody hears; begin with an action")
    for group, heard in _pairs(groups):
        for entry in group:
            expected_now = heard if entry is group[-1] else []
            since = len(backend.dialogue)
            text = _without_secret(entry, people, backend.dialogue)
            try:
                await _act(entry, blanks, people, backend)
            except LookupError as error:
                raise TranscriptError(f"{transcript.name}: {entry.text}: {error.args[0]}") from None
            await backend.wait_for(expected_now, since)
            expected += [text, *_by_person(expected_now)]
            played += [text, *blanks.recognized(_by_person(expected_now), _by_person(_heard(backend.dialogue, since)))]
    if expected != played:
        difference = unified_diff(expected, played, transcript.name, "played", lineterm="")
        raise Mismatch(f"{transcript.name}: people heard something else\n" + "\n".join(map(visible, difference)))


def _pairs(groups: list[list[Entry]]) -> list[tuple[list[Entry], list[str]]]:
    pairs: list[tuple[list[Entry], list[str]]] = []
    for group in groups:
        if group[0].is_heard:
            pairs[-1] = (pairs[-1][0], [entry.text for entry in group])
        else:
            pairs.append((group, []))
    return pairs


def _without_secret(entry: Entry, people: dict[str, Person], dialogue: Dialogue) -> str:
    says, person = entry.match["says"] or "", people.get(entry.match["who"])
    if person is not None and person.front is not None:
        return entry.text
    has_name = person is not None and person.name != ""
    return entry.text.removesuffix(says) + dialogue.as_shown(says, has_name=has_name)


async def _act(entry: Entry, blanks: Blanks, people: dict[str, Person], backend: _Backend) -> None:
    match = entry.match
    if match["seconds"]:
        await trio.sleep(float(match["seconds"]))
        return
    who = match["who"]
    if who not in people:
        people[who] = await backend.connect(who, match["front"] or "")
    if match["does"] == "!":
        people[who].hang_up()
    elif match["does"] == "!!":
        people[who].reset()
    elif match["says"] is not None:
        with suppress(AssertionError):  # a disconnected person hears the end, and the comparison shows that
            await people[who].say(blanks.filled(match["says"]))


def _heard(dialogue: Dialogue, since: int) -> list[str]:
    return [line for line in dialogue.lines(since) if re.match(r"\w+<", line)]


def _by_person(lines: Sequence[str]) -> list[str]:
    """Return the lines sorted by person. Which of two people hears a line first is not defined."""
    return sorted(lines, key=lambda line: line.partition("<")[0])
