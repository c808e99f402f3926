"""A service that outlasts the code that uses it, even when that code is cancelled."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio


class _Service(Protocol):
    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run until told to stop. Reports that it has started, or raises."""


class _Start(trio.TaskStatus[None]):
    """Whether a service has reported that it has started."""

    def __init__(self) -> None:
        self.reported = trio.Event()

    def started(self, value: None = None) -> None:  # noqa: ARG002
        self.reported.set()


@asynccontextmanager
async def shielded_service(
    service: _Service, stop: Callable[[], None], grace: float, *, name: str | None = None
) -> AsyncIterator[None]:
    """Run `service` around the block, shielded from what cancels the block: the cleanup of the block needs it.

    The block begins when the service has started. After the block, or if the start is cancelled, `stop` is called. From
    then on, the service has `grace` seconds to end.
    """
    # The shield is there from the beginning, so `nursery.start` cannot be used: it waits for what it starts even when
    # it is cancelled. A shield that is raised later would fall between the cancellation of a task and the moment when
    # the task learns of it. Trio then raises an AssertionError in that task.
    shield = trio.CancelScope(shield=True)
    start = _Start()

    async def run() -> None:
        with shield:
            await service(task_status=start)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, name=name)
        try:
            await start.reported.wait()
            yield
        finally:
            stop()
            shield.deadline = trio.current_time() + grace
