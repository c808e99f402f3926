"""Parts: what of a run can be cancelled alone, where the cancellation strikes, and what becomes of it."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.lowlevel import checkpoint

from trichat.testing import part, run
from trichat.testing._parts import PROBE, Part, Probe, Strike, part_of


def probed(async_fn: Callable[[], Awaitable[object]], strike: str = "") -> Probe:
    """Run a function under a probe, with a strike or without one, and return the probe."""
    probe = Probe(Strike.parse(strike) if strike else None)

    async def main() -> None:
        PROBE.set(probe)
        await async_fn()

    run(main, instruments=[probe])
    return probe


def struck(async_fn: Callable[[], Awaitable[object]], strike: str) -> Part:
    """Run a function with a strike, and return the part that was cancelled."""
    part = probed(async_fn, strike).struck
    assert part is not None, "it never came to that"
    return part


async def three_steps() -> None:
    with part("walk"):
        await checkpoint()
        await checkpoint()
        await trio.sleep(1)


def test_without_a_probe_a_part_is_nothing() -> None:
    run(three_steps)


def test_a_part_counts_the_steps_of_its_task() -> None:
    (walk,) = probed(three_steps).parts
    assert walk.label == "part walk"
    # One from its beginning to its first checkpoint, one from each checkpoint to the next, and one to its end.
    assert walk.steps == 4
    assert not walk.was_cancelled


def test_parts_are_numbered_that_have_the_same_name() -> None:
    async def twice() -> None:
        await three_steps()
        await three_steps()
        with part("rest"):
            pass

    assert [part.label for part in probed(twice).parts] == ["part walk", "part walk #2", "part rest"]
    assert struck(twice, "part walk #2 @ 1").label == "part walk #2"


def test_a_part_may_be_inside_another_and_its_steps_count_in_both() -> None:
    async def nested() -> None:
        with part("outer"):
            await checkpoint()
            with part("inner"):
                await checkpoint()
            await checkpoint()

    outer, inner = probed(nested).parts
    assert (outer.steps, inner.steps) == (4, 2)


def test_a_part_begins_and_ends_in_time() -> None:
    (walk,) = probed(three_steps).parts
    assert walk.ended_at == pytest.approx(1)


class Signals:
    """Three events that come about one after the other, a second apart: whoever waits for them really waits."""

    def __init__(self) -> None:
        self.events = [trio.Event() for _ in range(3)]

    async def send(self) -> None:
        for event in self.events:
            await trio.sleep(1)
            event.set()


def with_signals(walk: Callable[[Signals], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A scenario in which a part waits for signals, which are none of its own."""

    async def scenario() -> None:
        signals = Signals()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signals.send)
            with part("walk"):
                await walk(signals)

    return scenario


def line_of(function: Callable[..., object], text: str) -> str:
    """`file.py:12`, for the line of a function that has this text."""
    lines, first = inspect.getsourcelines(function)
    return f"{Path(__file__).name}:{first + next(i for i, line in enumerate(lines) if text in line)}"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_cancellation_strikes_at_the_checkpoint_of_that_number(step: int) -> None:
    reached: list[str] = []

    async def walk(signals: Signals) -> None:
        one, two, three = signals.events
        await one.wait()
        reached.append("one")
        await two.wait()
        reached.append("two")
        await three.wait()
        reached.append("three")

    walked = struck(with_signals(walk), f"part walk @ {step}")
    assert reached == ["one", "two", "three"][: step - 1]
    assert walked.struck_at == step - 1
    assert walked.ended_at == walked.struck_at
    line = f"await {['one', 'two', 'three'][step - 1]}.wait()"
    assert walked.place.startswith(line_of(walk, line))
    assert walked.place.endswith(f"walk: {line}")
    assert walked.task is not None
    assert walked.task.name.endswith("main")


def test_after_the_last_checkpoint_there_is_nothing_left_to_cancel() -> None:
    async def walk(signals: Signals) -> None:
        await signals.events[0].wait()

    # The last step ends with the part, so that there is no checkpoint for the cancellation to strike at.
    last = probed(with_signals(walk), "part walk @ 2").struck
    assert last is None or not last.scope.cancelled_caught
    assert probed(with_signals(walk), "part walk @ 3").struck is None


def test_where_its_task_goes_on_after_a_part_is_no_place_of_the_part() -> None:
    async def scenario() -> None:
        with part("walk"):
            pass
        await trio.sleep(1)

    assert struck(scenario, "part walk @ 1 early").place == ""


def test_a_line_deep_in_what_is_called_is_the_place() -> None:
    async def deep() -> None:
        await trio.sleep(1)

    async def walk() -> None:
        with part("walk"):
            await deep()

    assert ".deep: await trio.sleep(1)" in struck(walk, "part walk @ 1").place


def test_tasks_of_a_nursery_inside_belong_to_a_part() -> None:
    ended: list[str] = []

    async def child(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(name)

    async def walk() -> None:
        with part("walk"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child, "one")
                nursery.start_soon(child, "two")

    cancelled_at = [struck(walk, f"part walk @ {step}") for step in (1, 2, 3)]
    assert sorted(ended[-2:]) == ["one", "two"]
    # The first step is the part's own, the others are the first ones of its tasks.
    assert cancelled_at[0].task is not cancelled_at[1].task
    assert "child: await trio.sleep_forever()" in cancelled_at[1].place
    assert "child: await trio.sleep_forever()" in cancelled_at[2].place


def test_tasks_of_tasks_belong_to_it_too() -> None:
    async def grandchild() -> None:
        await trio.sleep(5)

    async def child() -> None:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112
            nursery.start_soon(grandchild)

    async def walk() -> None:
        with part("walk"):
            async with trio.open_nursery() as nursery:  # noqa: ASYNC112
                nursery.start_soon(child)

    assert "grandchild: await trio.sleep(5)" in struck(walk, "part walk @ 3").place


def test_tasks_of_a_nursery_outside_do_not_belong_to_a_part() -> None:
    done: list[str] = []

    async def bystander() -> None:
        for _ in range(10):
            await checkpoint()
        done.append("bystander")

    async def walk() -> None:
        async with trio.open_nursery() as nursery:
            with part("walk"):
                nursery.start_soon(bystander)
                await checkpoint()
                await checkpoint()

    (walked,) = probed(walk).parts
    assert walked.steps == 3
    struck(walk, "part walk @ 1")
    assert done == ["bystander", "bystander"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_task_that_was_started_with_a_handshake_belongs_to_where_it_goes_on(inside: bool) -> None:
    ended: list[str] = []

    async def service(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep(5)
            ended.append("by itself")
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async def scenario() -> None:
        async with trio.open_nursery() as outside:
            with part("walk"):
                async with trio.open_nursery() as own:
                    await (own if inside else outside).start(service)
                    await trio.sleep(1)
                await trio.sleep(1)

    probe = probed(scenario)
    steps = probe.parts[0].steps
    ended.clear()
    struck(scenario, f"part walk @ {steps - 1}")
    assert ended == ["by itself"]  # inside, the nursery has waited for it
    ended.clear()
    struck(scenario, "part walk @ 2")
    assert ended == (["cancelled"] if inside else ["by itself"])


def test_while_nobody_looks_nothing_counts() -> None:
    async def walk() -> None:
        probe = PROBE.get()
        assert probe is not None
        with part("walk"):
            probe.is_looking = False
            await checkpoint()
            with part("unseen"):
                await checkpoint()
            probe.is_looking = True
            await checkpoint()

    (walked,) = probed(walk).parts
    assert walked.label == "part walk"
    assert walked.steps == 2


# What a piece of code makes of its cancellation. Each is watched, and cancelled while it sleeps.

Piece = Callable[[], Awaitable[None]]


def judged(piece: Piece, *, fails: type[BaseException] | None = None) -> str:
    """What is said of a piece of code that was cancelled."""

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
    assert judged(piece) == "it went on as if it had not been cancelled"


@pytest.mark.parametrize(
    ("piece", "error"), [(turns_it_into_an_error, ConnectionError), (fails_while_cleaning_up, KeyError)]
)
def test_who_makes_another_error_of_it_is_reported_with_that_error(piece: Piece, error: type[Exception]) -> None:
    assert judged(piece, fails=error).startswith(f"it came out as {error.__name__}(")


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
        """Something that can be awaited and is no coroutine."""

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
    with pytest.raises(ValueError, match="does not name a part and a checkpoint, as 'server @ 3' does"):
        Strike.parse(text)


def test_a_part_is_of_a_kind() -> None:
    async def scenario() -> None:
        with part_of("hook", "dice.on_message"):
            await checkpoint()
        with part_of("server", ""):
            await checkpoint()

    assert [part.label for part in probed(scenario).parts] == ["hook dice.on_message", "server"]
