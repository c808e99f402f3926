"""A random but repeatable environment: a network that splits and delays data, and a plugin that is slow."""

import random
from collections.abc import Mapping

import trio

from trichat._net.transport import RECEIVE_BYTES, Bytes
from trichat.hookspecs import hookimpl
from trichat.testing._chat.memory_transport import MemoryTransport, Pipe
from trichat.testing._exploring.faults import Faults


class RandomNetwork(Faults):
    """A network that splits and delays data at random, and a slow plugin. The same `seed` gives the same behaviour."""

    def __init__(self, seed: int, drawn: Mapping[str, object]) -> None:
        super().__init__()
        self._seed = seed
        self._drawn = drawn
        self._chance = random.Random(seed)
        self.plugins: Mapping[str, object] = {"slow_plugin": SlowPlugin(self._chance)}
        """The plugins to run in addition to those of the scenario."""

    def __str__(self) -> str:
        return str(self._seed)

    def describe(self) -> str:
        """Return which run it was."""
        drawn = "".join(f", {name}={value!r}" for name, value in self._drawn.items())
        return f"in the run with seed {self._seed}{drawn}"

    def transport(self, incoming: Pipe, outgoing: Pipe, address: str) -> MemoryTransport:
        """Make the server's end of a connection on this network."""
        return _RandomTransport(incoming, outgoing, address, self._chance)


class _RandomTransport(MemoryTransport):
    def __init__(self, incoming: Pipe, outgoing: Pipe, address: str, chance: random.Random) -> None:
        super().__init__(incoming, outgoing, address)
        self._chance = chance

    async def receive(self) -> bytes:
        await self._pass()
        return await self.receive_at_most(self._chance.choice((1, 7, RECEIVE_BYTES)))

    def receive_nowait(self) -> bytes | None:
        return super().receive_nowait() if self._chance.random() < 0.5 else None

    def send_nowait(self, data: Bytes) -> int:
        taken = self._chance.choice((0, 1, len(data), len(data)))
        return super().send_nowait(data[:taken]) if taken else 0

    async def send_some(self, data: Bytes) -> int:
        await self._pass()
        await self.outgoing.room()
        return super().send_nowait(data[: self._chance.choice((1, 7, len(data)))])

    async def _pass(self) -> None:
        """Let a moment pass, at random."""
        if self._chance.random() < 0.3:
            await trio.sleep(self._chance.random() * 0.01)


class SlowPlugin:
    """A plugin whose hooks take time, at random."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def _delay(self) -> None:
        if self._chance.random() < 0.3:
            await trio.sleep(self._chance.random() * 0.01)

    @hookimpl(tryfirst=True)
    async def on_connect(self) -> None:
        """Take time."""
        await self._delay()

    @hookimpl
    async def on_join(self) -> None:
        """Take time."""
        await self._delay()

    @hookimpl
    async def on_message(self) -> None:
        """Take time."""
        await self._delay()

    @hookimpl(tryfirst=True)
    async def on_broadcast(self) -> None:
        """Take time."""
        await self._delay()

    @hookimpl
    async def on_disconnect(self) -> None:
        """Take time."""
        await self._delay()

    @hookimpl(tryfirst=True)
    async def history(self) -> None:
        """Take time, and leave the answer to others."""
        await self._delay()
