"""A start that is cancelled, at each step of it: nothing is left, and nobody is blamed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import trio
from trio.lowlevel import Task

from trichat import Config, Listener, Server, TcpListener, UnixListener, hookimpl, load_plugins
from trichat.testing._chat import virtual_time
from trichat.testing._chat.schedule import schedule
from trichat.testing._exploring.error_log import failures_logged
from trichat.testing._exploring.leftovers import leftovers_noted

# Trio runs the tasks that are ready in any order; each seed is another one.
SEEDS = range(4)

# Rounds in which the plugin below keeps its tasks on the move, so that a cancellation finds each of them everywhere.
ROUNDS = 20


class Busy:
    """A plugin whose tasks are at a checkpoint at every moment of the start, and that notes its lifespan.

    It contributes listeners, too.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self._send, self._receive = trio.open_memory_channel[int](1)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        server.start_soon(self._produce)
        server.start_soon(self._consume)
        await trio.lowlevel.checkpoint()
        self.events.append("entered")
        yield
        self.events.append("left")

    @hookimpl
    def listeners(self) -> Sequence[Listener]:
        return [TcpListener("127.0.0.1", 0), UnixListener("plugin.sock")]

    async def _produce(self) -> None:
        for number in range(ROUNDS):
            await self._send.send(number)
            await trio.lowlevel.checkpoint()
        await trio.sleep_forever()

    async def _consume(self) -> None:
        async for _ in self._receive:
            await trio.lowlevel.checkpoint_if_cancelled()


class CancelAt(trio.abc.Instrument):
    """Cancels `scope`, once there is one, before or after the step of this number, counted over all tasks."""

    def __init__(self, step: int, *, early: bool) -> None:
        self.scope: trio.CancelScope | None = None
        self.has_struck = False
        self._left = step
        self._early = early

    def before_task_step(self, task: Task) -> None:
        if self._early:
            self._count()

    def after_task_step(self, task: Task) -> None:
        if not self._early:
            self._count()

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.has_struck = True
            if self.scope is not None:  # before the program has opened its nursery, there is nothing to cancel
                self.scope.cancel()


async def start(instrument: CancelAt, server: Server) -> None:
    """Start a server in a nursery that the instrument cancels, and go no further."""
    async with trio.open_nursery() as nursery:
        instrument.scope = nursery.cancel_scope
        await nursery.start(server.serve)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_start_that_is_cancelled_leaves_nothing_and_blames_nobody(
    seed: int, early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config()
    faults: list[str] = []
    outcomes = set[tuple[str, ...]]()
    for step in count(1):
        busy = Busy()
        server = Server(
            config,
            plugins={"busy": busy, **load_plugins(config)},
            listeners=[TcpListener("127.0.0.1", 0), UnixListener("chat.sock")],
        )
        instrument = CancelAt(step, early=early)
        found: list[str] = []
        with schedule(seed), failures_logged(found), leftovers_noted(found):
            virtual_time.run(start, instrument, server, instruments=[instrument])
        found += [f"{file} is still there" for file in tmp_path.glob("*.sock*")]
        faults += [f"step {step}: {fault}" for fault in found]
        outcomes.add(tuple(busy.events))
        if not instrument.has_struck:
            break
    assert faults == []
    # Each start either did not get as far as the plugin, or the plugin was left as at any other end.
    assert outcomes == {(), ("entered", "left")}
