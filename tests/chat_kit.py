"""A server in memory and people to talk to it, for the tests: what `trichat.testing` will grow from.

Everything runs in virtual time, so that a test that waits for a minute takes milliseconds.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from trio.testing import memory_stream_pair

from trichat import Config, Server, load_plugins

# How long to wait for what has to come, in seconds: shorter than the server's timeouts, to tell the two apart.
PATIENCE = 4.0

# How long nothing has to come, until it counts as nothing.
SILENCE = 0.5


class Person:
    """Somebody at the other end of a connection, who reads line by line."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._lines: deque[str] = deque()
        self._unfinished = b""

    async def say(self, *lines: str) -> None:
        """Type lines, all at once."""
        await self.stream.send_all("".join(f"{line}\n" for line in lines).encode())

    async def hears(self, *lines: str) -> None:
        """Read as many lines and expect these."""
        assert [await self.next_line() for _ in lines] == list(lines)

    async def next_line(self, patience: float = PATIENCE) -> str | None:
        """Read a line; `None` at the end of the connection."""
        with trio.fail_after(patience):
            while not self._lines:
                data = await self.stream.receive_some()
                if not data:
                    assert not self._unfinished, f"half a line before the end: {self._unfinished!r}"
                    return None
                *lines, self._unfinished = (self._unfinished + data).split(b"\n")
                self._lines += [line.decode() for line in lines]
        return self._lines.popleft()

    async def hears_nothing(self) -> None:
        """Expect that nothing comes."""
        with trio.move_on_after(SILENCE):
            raise AssertionError(f"heard {await self.next_line()!r}, expected nothing")

    async def is_disconnected(self) -> None:
        """Expect the end of the connection, and nothing before it."""
        assert await self.next_line() is None

    async def read_up_to(self, start: str) -> list[str]:
        """Read until a line begins with `start`, and return all."""
        lines: list[str] = []
        while not lines or not lines[-1].startswith(start):
            line = await self.next_line(patience=10)
            assert line is not None, f"{start!r} did not come, but {lines}"
            lines.append(line)
        return lines

    async def rest(self, patience: float = PATIENCE) -> list[str]:
        """Read to the end of the connection."""
        lines = []
        while (line := await self.next_line(patience)) is not None:
            lines.append(line)
        return lines

    async def hang_up(self) -> None:
        """Close the connection."""
        await self.stream.aclose()


class Chat:
    """A running server, and the way to it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def connect(self, address: str = "127.0.0.1") -> Person:
        """Connect, and read the greeting."""
        person = self.connect_silently(address)
        await person.hears("* welcome to trichat; type your name and press Enter")
        return person

    def connect_silently(self, address: str = "127.0.0.1") -> Person:
        """Connect, and read nothing."""
        ours, theirs = memory_stream_pair()
        self.server.attach(theirs, address)
        return Person(ours)

    async def join(self, name: str, address: str = "127.0.0.1") -> Person:
        """Connect, give a name, and read on to the welcome."""
        person = await self.connect(address)
        await person.say(name)
        while not (line := await person.next_line() or "").startswith("* welcome, "):
            assert line, f"{name} was disconnected"
        return person


@asynccontextmanager
async def running(
    folder: Path,
    *,
    config: Mapping[str, Mapping[str, object]] | None = None,
    plugins: Mapping[str, object] | None = None,
) -> AsyncIterator[Chat]:
    """Run a server in memory: `config` by table, `plugins` besides the built-in ones. It is stopped at the end."""
    tables: dict[str, Mapping[str, object]] = {"chat_log": {"path": str(folder / "chat_log.txt"), "fsync": "never"}}
    for name, table in (config or {}).items():
        if name != "server":
            tables[name] = {**tables.get(name, {}), **table}
    full = Config.from_tables({"server": (config or {}).get("server", {}), "plugins": tables})
    server = Server(full, plugins={**load_plugins(full), **(plugins or {})}, listeners=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield Chat(server)
        server.stop()
