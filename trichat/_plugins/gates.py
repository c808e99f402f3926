"""Where the calls of a plugin wait while a new version takes its place."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trichat import hookspecs
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.deadlines import Deadlines
from trichat._plugins.registry import Implementation


class Gates:
    """A gate for each plugin. A call that begins while its gate is closed waits, and goes to the successor.

    What a call under way needs to finish passes: a command of the plugin may say something, and then the plugin is
    asked about the message and told of its batch. Waiting has no deadline of its own: the code that holds the calls
    has one.
    """

    def __init__(self, active: ActiveHooks, deadlines: Deadlines) -> None:
        self._active = active
        self._deadlines = deadlines
        self.closed: dict[str, trio.Event] = {}
        """The gates that are closed, by the name of the plugin. Each event is set when its gate opens."""
        self._closed_to_all: set[str] = set()
        """The plugins whose closed gates not even a batch passes."""

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Let new calls of a plugin wait for the end of the block; those for batches only from `hold_batches` on."""
        held = self._active.registry[name]
        held.takes_calls = False
        opened = self.closed[name] = trio.Event()
        try:
            yield
        finally:
            held.takes_calls = self._active.registry[name] is held
            del self.closed[name]
            self._closed_to_all.discard(name)
            opened.set()

    def hold_batches(self, name: str) -> None:
        """Let the calls of `on_broadcast` wait as well: nothing under way waits for a batch any more."""
        self._closed_to_all.add(name)

    async def wait(self, name: str) -> None:
        """Wait until nobody holds the calls of a plugin."""
        while name in self.closed:  # the successor may be about to be replaced, too
            await self.closed[name].wait()

    def _passes(self, hook: str, implementation: Implementation) -> bool:
        name, owner = implementation.plugin, implementation.owner
        if name not in self.closed or name in self._closed_to_all or self._active.registry[name] is not owner:
            return False
        return hook == hookspecs.on_broadcast.__name__ or self._deadlines.is_within_call_of(owner)

    async def successor(self, hook: str, implementation: Implementation) -> Implementation | None:
        """Wait at the gate, if it is closed, and return what to call: this implementation, its successor, or `None`."""
        if implementation.owner.takes_calls or self._passes(hook, implementation):
            return implementation
        await self.wait(implementation.plugin)
        return next((each for each in self._active.hooks[hook] if each.plugin == implementation.plugin), None)
