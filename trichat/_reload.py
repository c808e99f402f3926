"""Reloading, one at a time and to its end, whoever asks and whether they wait for it or not."""

import trio

from trichat._server import Server


class Reload:
    """A reload that was asked for."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.failures: list[str] = []
        """Once it is done, what failed: a sentence for each plugin."""


class Reloader:
    """Reloads `server` in a task of its own, which neither a signal nor a client that hangs up can cancel."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._next = Reload()
        self._asked = trio.Event()

    def ask(self) -> Reload:
        """Ask for a reload that begins after this; all who ask before it begins share it."""
        self._asked.set()
        return self._next

    async def run(self) -> None:
        """Reload whenever somebody asks, until cancelled. There is no deadline but those of the hooks."""
        while True:
            await self._asked.wait()
            reload, self._next, self._asked = self._next, Reload(), trio.Event()
            reload.failures = await self._server.reload()
            reload.done.set()
