"""A service that outlasts the code that uses it, even when that code is cancelled."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio


class _Service(Protocol):
    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None: ...


@asynccontextmanager
async def shielded_service(
    service: _Service, stop: Callable[[], None], grace: float, *, name: str | None = None
) -> AsyncIterator[None]:
    """Run `service` around the block, shielded from what cancels the block: the cleanup of the block needs it.

    After the block, `stop` is called. From then on, the service has `grace` seconds to end.
    """
    shield = trio.CancelScope()

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        with shield:
            await service(task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(run, name=name)
        # Not earlier: a start that is cancelled has nothing to protect, and would never be told to stop.
        shield.shield = True
        try:
            yield
        finally:
            stop()
            shield.deadline = trio.current_time() + grace
