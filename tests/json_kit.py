"""Clients that speak JSON lines, and people with `nc`, in one server that runs in memory."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
from trichat_plugins.json_lines.front import JsonFront

from trichat import Config, Server, load_plugins
from trichat._fronts.line.front import LineFront
from trichat.testing._chat.chat import MemoryListener
from trichat.testing._chat.memory_transport import MemoryLine

PATIENCE = 4.0

Object = dict[str, Any]


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
        """Send objects, all at once."""
        await self.type(*map(json.dumps, objects))

    async def next(self) -> Object:
        """Return the next object; `{}` at the end."""
        line = await self.read()
        return json.loads(line) if line else {}

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


def stable(line: Object) -> Object:
    """Return an object without what differs each time."""
    cut = {"id", "time", "cursor", "version"}
    return {
        key: {name: part for name, part in value.items() if name not in cut} if isinstance(value, dict) else value
        for key, value in line.items()
    }


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

    async def program(self, name: str = "") -> Program:
        """Connect a program, and let it log in."""
        line, _ = self._objects.connect("127.0.0.1", lambda _: None)
        program = Program(line)
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
