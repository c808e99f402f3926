"""Programs that speak JSON lines to a server that runs in memory, together with people who use `nc`."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from trichat_plugins.json_lines.from_client import request_in
from trichat_plugins.json_lines.front import JsonFront

from trichat.fronts import Malformed
from trichat.testing import Chat, Person, running

jsonschema = pytest.importorskip("jsonschema", reason="tested with jsonschema, which the group `test` has")

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "json-lines.schema.json").read_text(encoding="utf-8"))

VOLATILE = {"id", "time", "cursor", "version"}

Object = dict[str, Any]


def faults(line: Object, kind: str) -> list[str]:
    """Return what the grammar has against a line of a client (`FromClient`) or of the server (`FromServer`)."""
    checker = jsonschema.Draft202012Validator({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})
    return [error.message for error in checker.iter_errors(line)]


def stable(part: Any) -> Any:
    """Return an object, or a part of one, without what differs each time."""
    if isinstance(part, list):
        return [stable(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: stable(value) for key, value in part.items() if key not in VOLATILE}


class Program:
    """One that speaks JSON lines."""

    def __init__(self, person: Person) -> None:
        self.person = person

    async def send(self, *objects: Object) -> None:
        """Send objects, all at once. Each has to be in the grammar, or the server has to refuse it."""
        for each in objects:
            is_refused = isinstance(request_in(json.dumps(each)), Malformed)
            assert is_refused == (faults(each, "FromClient") != [])
        await self.person.say(*map(json.dumps, objects))

    async def next(self) -> Object:
        """Return the next object, which has to be in the grammar; `{}` at the end."""
        line = await self.person.next_line()
        if line is None:
            return {}
        found: Object = json.loads(line)
        assert faults(found, "FromServer") == []
        return found

    async def gets(self, *objects: Object) -> None:
        """Expect these objects, without what differs each time: ids, times and cursors."""
        for expected in objects:
            assert stable(await self.next()) == expected

    async def up_to(self, key: str) -> list[Object]:
        """Return the next objects, up to one that has this key."""
        found: list[Object] = []
        while not found or (found[-1] and key not in found[-1]):
            found.append(await self.next())
        return found


class Both:
    """A chat with both fronts."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self._front = JsonFront()

    async def person(self, name: str) -> Person:
        """Let somebody with `nc` join the lobby."""
        return await self.chat.join(name)

    def program_unread(self) -> Program:
        """Connect a program, and read nothing yet."""
        return Program(self.chat.connect_silently(front=self._front))

    async def program(self, name: str = "") -> Program:
        """Connect a program, and let it log in."""
        program = self.program_unread()
        assert "hello" in await program.next()
        if name:
            await program.send({"login": {"name": name}, "label": "login"})
            await program.gets({"ok": {}, "label": "login"})
        return program

    async def member(self, name: str, *rooms: str) -> Program:
        """Connect a program that enters these rooms, and read up to there."""
        program = await self.program(name)
        for room in rooms:
            await program.send({"join": {"room": room}})
            [entered] = await program.up_to("entered")
            assert entered["entered"]["room"] == room
        return program

    @property
    def log(self) -> str:
        """What is in the chat log."""
        assert self.chat.log_path is not None
        return self.chat.log_path.read_text(encoding="utf-8")


@asynccontextmanager
async def both(config: Mapping[str, Mapping[str, object]] | None = None) -> AsyncIterator[Both]:
    """Run a server with both fronts in memory, and stop it at the end of the block."""
    async with running(config=config) as chat:
        yield Both(chat)
