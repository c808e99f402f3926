"""Lifespans that record what happens to them, and a way to enter and leave them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from trichat import Server, hookimpl
from trichat._base.failures import one_for_all
from trichat._plugins.lifespans import Lifespans

TIMEOUT = 5.0

Lifespan = AbstractAsyncContextManager[None]


async def nothing() -> None:
    await trio.lowlevel.checkpoint()


async def hang() -> None:
    # Not forever, so that a test fails if nobody cancels it.
    await trio.sleep(600)


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def raise_it() -> None:
        await trio.lowlevel.checkpoint()
        raise error

    return raise_it


@asynccontextmanager
async def noting(
    events: list[str],
    name: str,
    *,
    entering: Callable[[], Awaitable[None]] = nothing,
    leaving: Callable[[], Awaitable[None]] = nothing,
) -> AsyncIterator[None]:
    """A lifespan that records in `events` when it is entered and left."""
    await entering()
    events.append(f"{name} in")
    try:
        yield
        await leaving()
    finally:
        events.append(f"{name} out")


@asynccontextmanager
async def with_background(task: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """A lifespan with a background task."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)
        yield
        nursery.cancel_scope.cancel()


class CrashingInBackground:
    """A plugin with a background task that fails after so many `seconds`."""

    seconds = 0.0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        server.start_soon(self._crash)
        yield

    async def _crash(self) -> None:
        await trio.sleep(self.seconds)
        raise ValueError("oops")


def unexpected(name: str) -> str:
    raise AssertionError(f"{name} crashed")


@asynccontextmanager
async def held(*plugins: tuple[str, Lifespan], on_crash: Callable[[str], object] = unexpected) -> AsyncIterator[None]:
    """Hold these lifespans during the block."""

    def crash(name: str) -> str:
        on_crash(name)
        return "it crashed"

    lifespans = Lifespans(
        plugins, timeout_of=lambda _: TIMEOUT, grace=TIMEOUT, on_crash=crash, entering=trio.CancelScope()
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(lifespans.run)
        yield
        lifespans.stop()


async def start(*plugins: tuple[str, Lifespan]) -> None:
    """Enter these lifespans, and leave them as soon as all are entered."""
    with one_for_all():
        async with held(*plugins):
            pass
