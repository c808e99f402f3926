"""Dialogues as people see them: each file in `transcripts/` is a test.

    | [plugins.stop]                a line of the configuration, at the top
    # a comment
    alice> hello                    alice connects, if she has not yet, and types `hello`
    alice+                          alice only connects
    bob< alice: hello               bob sees this line; `[date]` stands for any date
    bob<                            bob sees the end of the connection
    alice!                          alice hangs up
    --- 30s                         time passes

What people see after each action is given right behind it, person by person; nothing may be missing or left over.
"""

import re
import tomllib
from collections.abc import Iterator
from difflib import unified_diff
from itertools import groupby
from pathlib import Path

import pytest
import trio
from chat_kit import Chat, Person, running

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))

_DATE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")
_SEEN = re.compile(r"(\w+)<(?: (.*))?")
_ACTION = re.compile(r"(?P<who>\w+)(?:> (?P<line>.*)|(?P<connects>\+)|(?P<hangs_up>!))|--- (?P<seconds>\d+)s")


class Stage:
    """The people of a transcript, each with a task that reads along."""

    def __init__(self, chat: Chat, nursery: trio.Nursery) -> None:
        self._chat = chat
        self._nursery = nursery
        self._people: dict[str, Person] = {}
        self._seen: dict[str, list[str]] = {}

    async def act(self, action: str) -> list[str]:
        """Do what the line says, and return what everybody sees then."""
        match = _ACTION.fullmatch(action)
        assert match, f"not a line of a transcript: {action!r}"
        if match["seconds"]:
            await trio.sleep(float(match["seconds"]))
        elif match["hangs_up"]:
            await self._people[match["who"]].hang_up()
        else:
            person = self._person(match["who"])
            if match["line"] is not None:
                await person.say(match["line"])
        await trio.testing.wait_all_tasks_blocked()
        return [line for name in self._people for line in self._take(name)]

    def _person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = self._chat.connect_silently()
            self._seen[name] = []
            self._nursery.start_soon(self._read, name)
        return self._people[name]

    async def _read(self, name: str) -> None:
        try:
            while (line := await self._people[name].next_line(patience=float("inf"))) is not None:
                self._seen[name].append(f"{name}< {_DATE.sub('[date]', line)}")
            self._seen[name].append(f"{name}<")
        except trio.ClosedResourceError:
            pass  # hung up

    def _take(self, name: str) -> Iterator[str]:
        seen, self._seen[name] = self._seen[name], []
        return iter(seen)


def read(path: Path) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return the configuration and the lines of a transcript."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    tables = tomllib.loads("\n".join(line[2:] for line in lines if line.startswith("| ")))
    config = {"server": tables.get("server", {}), **tables.get("plugins", {})}
    return config, [line for line in lines if not line.startswith("| ")]


def by_person(lines: list[str]) -> list[str]:
    """The same lines, each person's together, in the order in which they appear on the stage."""
    return sorted(lines, key=lambda line: line.partition("<")[0])


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_people_see_what_the_transcript_says(path: Path, tmp_path: Path, autojump_clock: object) -> None:
    config, script = read(path)
    expected: list[str] = []
    played: list[str] = []
    async with trio.open_nursery() as nursery:
        async with running(tmp_path, config=config) as chat:
            stage = Stage(chat, nursery)
            for are_seen, group in groupby(script, key=lambda line: _SEEN.fullmatch(line) is not None):
                if are_seen:
                    expected += by_person(list(group))
                    continue
                for action in group:
                    expected.append(action)
                    played += [action, *by_person(await stage.act(action))]
        nursery.cancel_scope.cancel()
    assert expected == played, "\n" + "\n".join(unified_diff(expected, played, path.name, "played", lineterm=""))
