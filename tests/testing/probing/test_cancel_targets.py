"""Parts: how they respond to a cancellation, and how a strike is written."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

import pytest
import trio
from probe_kit import probed, struck
from trio.lowlevel import checkpoint

from trichat.testing import part, run
from trichat.testing._probing.cancel_targets import Strike
from trichat.testing._probing.checkpoint_probe import part_of

# How a piece of code responds to its cancellation. Each piece is watched, and cancelled while it sleeps.

Piece = Callable[[], Awaitable[None]]


def judged(piece: Piece, *, fails: type[BaseException] | None = None) -> str:
    """Return the verdict on a piece of code that was cancelled."""

    async def scenario() -> None:
        expected = pytest.raises(fails) if fails else nullcontext()
        with part("piece") as entered, expected:
            await entered.watching(piece())

    return struck(scenario, "part piece @ 1").swallowed


async def clean() -> None:
    await trio.sleep(1)


async def tidy() -> None:
    try:
        await trio.sleep(1)
    finally:
        with trio.move_on_after(5, shield=True):
            await trio.sleep(1)


async def with_tasks() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        nursery.start_soon(trio.sleep, 1)
        await trio.sleep(1)


async def swallows() -> None:
    with suppress(BaseException):
        await trio.sleep(1)


async def retries() -> None:
    while True:
        try:
            await trio.sleep(1)
        except BaseException:  # noqa: ASYNC103
            break  # noqa: ASYNC104


async def turns_it_into_an_error() -> None:
    try:
        await trio.sleep(1)
    except BaseException:
        raise ConnectionError("not connected") from None  # noqa: ASYNC104


async def fails_while_cleaning_up() -> None:
    try:
        await trio.sleep(1)
    finally:
        raise KeyError("cleanup")


async def returns_in_finally() -> None:
    try:
        await trio.sleep(1)
    finally:
        return  # noqa: B012


async def cancels_itself() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.sleep(1)
    await trio.sleep(1)


@pytest.mark.parametrize("piece", [clean, tidy, with_tasks, cancels_itself])
def test_who_lets_the_cancellation_through_is_not_reported(piece: Piece) -> None:
    assert judged(piece) == ""


@pytest.mark.parametrize("piece", [swallows, retries, returns_in_finally])
def test_who_goes_on_as_if_nothing_had_happened_is(piece: Piece) -> None:
    assert judged(piece) == "it returned as if it had not been cancelled"


@pytest.mark.parametrize(
    ("piece", "error"), [(turns_it_into_an_error, ConnectionError), (fails_while_cleaning_up, KeyError)]
)
def test_who_makes_another_error_of_it_is_reported_with_that_error(piece: Piece, error: type[Exception]) -> None:
    assert judged(piece, fails=error).startswith(f"it raised {error.__name__}(")


async def guards_with_its_own_deadline() -> None:
    with trio.move_on_after(1):
        await trio.sleep(2)


def test_a_cancellation_of_its_own_is_its_own_business() -> None:
    async def scenario() -> None:
        with part("piece") as entered:
            await entered.watching(guards_with_its_own_deadline())

    (piece,) = probed(scenario).parts
    assert piece.swallowed == ""


def test_who_is_not_watched_is_not_judged() -> None:
    async def scenario() -> None:
        with part("piece"):
            await swallows()

    assert struck(scenario, "part piece @ 1").swallowed == ""


def test_what_is_watched_gives_back_its_result() -> None:
    results: list[object] = []

    class Answer:
        """An awaitable that is not a coroutine."""

        def __await__(self) -> Any:
            yield from trio.sleep(1).__await__()  # noqa: ASYNC105
            return 43

    async def answer() -> int:
        await checkpoint()
        return 42

    async def scenario() -> None:
        with part("piece") as entered:
            results.append(await entered.watching(answer()))
            results.append(await entered.watching(Answer()))
        with pytest.raises(ValueError, match="a test"):
            await entered.watching(fails())

    async def fails() -> None:
        await checkpoint()
        raise ValueError("a test")

    probed(scenario)
    run(scenario)
    assert results == [42, 43] * 2


Block = Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def plain() -> AsyncIterator[None]:
    await checkpoint()
    yield
    await checkpoint()


@asynccontextmanager
async def swallows_its_block() -> AsyncIterator[None]:
    with suppress(BaseException):
        yield


@asynccontextmanager
async def swallows_at_the_start() -> AsyncIterator[None]:
    await swallows()
    yield


@pytest.mark.parametrize(
    ("block", "step", "swallowed"),
    [
        (plain, 1, False),
        (plain, 2, False),
        (plain, 3, False),
        (swallows_its_block, 1, True),
        (swallows_at_the_start, 1, True),
    ],
)
def test_a_context_manager_is_watched_while_it_is_entered_held_and_left(
    block: Block, step: int, swallowed: bool
) -> None:
    async def scenario() -> None:
        with part("block") as entered:
            async with entered.watching_block(block()):
                await trio.sleep(1)

    assert bool(struck(scenario, f"part block @ {step}").swallowed) is swallowed


def test_without_a_probe_a_block_is_what_it_is() -> None:
    async def scenario() -> None:
        with part("block") as entered:
            async with entered.watching_block(plain()):
                await checkpoint()

    run(scenario)


@pytest.mark.parametrize("label", ["server", "hook dice.on_message #3", "part a @ 1"])
def test_a_strike_reads_what_it_has_written(label: str) -> None:
    for strike in (Strike(label, 12), Strike(label, 12, early=True)):
        assert str(strike).startswith(f"{label} @ 12")
        assert Strike.parse(str(strike)) == strike


@pytest.mark.parametrize("text", ["", "server", "server @ ", "server @ x", "server @ -1", " @ 3"])
def test_what_is_no_strike_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a case; name a part and a checkpoint, such as 'server @ 3'"):
        Strike.parse(text)


def test_a_part_is_of_a_kind() -> None:
    async def scenario() -> None:
        with part_of("hook", "dice.on_message"):
            await checkpoint()
        with part_of("server", ""):
            await checkpoint()

    assert [part.label for part in probed(scenario).parts] == ["hook dice.on_message", "server"]
