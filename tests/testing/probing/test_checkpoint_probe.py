"""The probe: whose steps it counts, and where a strike hits."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from probe_kit import probed, struck
from trio.lowlevel import checkpoint

from trichat.testing import part, run
from trichat.testing._probing.checkpoint_probe import PROBE


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
    # One step from the beginning to the first checkpoint, one from each checkpoint to the next, and one to the end.
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
    """Three events that are set a second apart, so that a task that waits for one really waits."""

    def __init__(self) -> None:
        self.events = [trio.Event() for _ in range(3)]

    async def send(self) -> None:
        for event in self.events:
            await trio.sleep(1)
            event.set()


def with_signals(walk: Callable[[Signals], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Return a scenario in which a part waits for signals from outside the part."""

    async def scenario() -> None:
        signals = Signals()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signals.send)
            with part("walk"):
                await walk(signals)

    return scenario


def line_of(function: Callable[..., object], text: str) -> str:
    """Return `file.py:12`, for the line of a function that has this text."""
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

    # The last step ends with the part, so it has no checkpoint to be cancelled at.
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
    # The first step is the part's own. The others are the first steps of its tasks.
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
    assert ended == ["by itself"]  # if it is inside, the nursery has waited for it
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


async def test_a_part_in_a_run_without_a_probe_is_never_cancelled_and_can_be_asked() -> None:
    async def answer() -> int:
        await trio.lowlevel.checkpoint()
        return 42

    with part("ask") as asking:
        assert await asking.watching(answer()) == 42
    assert (asking.label, asking.was_cancelled, asking.swallowed) == ("part ask", False, "")
