"""Clients that speak JSON lines, and people with `nc`, in one server that runs in memory."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trichat_plugins.json_lines.from_client import request_in
from trichat_plugins.json_lines.front import JsonFront

from trichat import Config, Server, load_plugins
from trichat._fronts.line.front import LineFront
from trichat.fronts import Malformed
from trichat.testing._chat.chat import MemoryListener
from trichat.testing._chat.memory_transport import MemoryLine

jsonschema = pytest.importorskip("jsonschema", reason="tested with jsonschema, which the group `test` has")

PATIENCE = 4.0

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "json-lines.schema.json").read_text(encoding="utf-8"))

VOLATILE = {"id", "time", "cursor", "version"}

Object = dict[str, Any]


def faults(line: Object, kind: str) -> list[str]:
    """Return what the grammar has against a line of a client (`FromClient`) or of the server (`FromServer`)."""
    checker = jsonschema.Draft202012Validator({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{kind}"}]})
    return [error.message for error in checker.iter_errors(line)]


class Client:
    """The other end of a connection."""

    def __init__(self, line: MemoryLine) -> None:
        self.line = line
        self._unread = b""
        self._lines = deque[str]()

    async def type(self, *lines: str) -> None:
        """Send lines, all at once."""
        await self.line.send("".join(f"{line}\n" for line in lines).encode())

    async def read(self) -> str:
        """Return the next line; `""` at the end."""
        with trio.fail_after(PATIENCE):
            while not self._lines:
                data = await self.line.receive()
                if not data:
                    return ""
                *lines, self._unread = (self._unread + data).split(b"\n")
                self._lines += [line.decode() for line in lines]
        return self._lines.popleft()

    async def hears(self, *lines: str) -> None:
        """Expect these lines."""
        assert [await self.read() for _ in lines] == [*lines]


class Program(Client):
    """One that speaks JSON lines."""

    async def send(self, *objects: Object) -> None:
        """Send objects, all at once. Each has to be in the grammar, or the server has to refuse it."""
        for each in objects:
            is_refused = isinstance(request_in(json.dumps(each)), Malformed)
            assert is_refused == (faults(each, "FromClient") != [])
        await self.type(*map(json.dumps, objects))

    async def next(self) -> Object:
        """Return the next object, which has to be in the grammar; `{}` at the end."""
        line = await self.read()
        if not line:
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


def stable(part: Any) -> Any:
    """Return an object, or a part of one, without what differs each time."""
    if isinstance(part, list):
        return [stable(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: stable(value) for key, value in part.items() if key not in VOLATILE}


class Both:
    """A server with both fronts."""

    def __init__(self, folder: Path, **options: object) -> None:
        tables = {
            "server": {"data_dir": str(folder), **options},
            "plugins": {"chat_log": {"path": str(folder / "chat_log.txt"), "fsync": "never"}},
        }
        config = msgspec.structs.replace(Config.from_tables(tables), trial_folder=folder)
        self._lines, self._objects = MemoryListener(LineFront()), MemoryListener(JsonFront())
        self.server = Server(config, plugins=load_plugins(config), listeners=[self._lines, self._objects])

    async def person(self, name: str) -> Client:
        """Let somebody with `nc` join the lobby, and read up to the welcome."""
        line, _ = self._lines.connect("127.0.0.1", lambda _: None)
        person = Client(line)
        await person.type(name)
        while not (await person.read()).startswith("* welcome, "):
            pass
        return person

    def program_unread(self) -> Program:
        """Connect a program, and read nothing yet."""
        line, _ = self._objects.connect("127.0.0.1", lambda _: None)
        return Program(line)

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


@asynccontextmanager
async def both(folder: Path, **options: object) -> AsyncIterator[Both]:
    """Run a server with both fronts in memory, and stop it at the end of the block."""
    async with trio.open_nursery() as nursery:
        chat = Both(folder, **options)
        await nursery.start(chat.server.serve)
        yield chat
        chat.server.stop()
