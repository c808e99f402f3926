"""Where the calls of a plugin wait while a new version takes its place."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.registry import Implementation


class Gates:
    """A gate for each plugin. A call that begins while its gate is closed waits, and goes to the successor.

    Waiting has no deadline of its own: the code that holds the calls has one.
    """

    def __init__(self, active: ActiveHooks) -> None:
        self._active = active
        self.closed: dict[str, trio.Event] = {}
        """The gates that are closed, by the name of the plugin. Each event is set when its gate opens."""

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Let new calls of a plugin wait for the end of the block."""
        held = self._active.registry[name]
        held.takes_calls = False
        opened = self.closed[name] = trio.Event()
        try:
            yield
        finally:
            held.takes_calls = self._active.registry[name] is held
            del self.closed[name]
            opened.set()

    async def wait(self, name: str) -> None:
        """Wait until nobody holds the calls of a plugin."""
        while name in self.closed:  # the successor may be about to be replaced, too
            await self.closed[name].wait()

    async def successor(self, hook: str, implementation: Implementation) -> Implementation | None:
        """Wait at the gate, if it is closed, and return what to call: this implementation, its successor, or `None`."""
        if implementation.owner.takes_calls:
            return implementation
        await self.wait(implementation.plugin)
        return next((each for each in self._active.hooks[hook] if each.plugin == implementation.plugin), None)
