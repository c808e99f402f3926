"""The background tasks of plugins: whose they are, and when they end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
from lifespan_kit import held, noting

from trichat import Server, hookimpl
from trichat._plugins.background_tasks import start_soon
from trichat.testing import Chat, cancel_everywhere


@pytest.fixture
def events() -> list[str]:
    return []


def starting(
    background: Callable[..., Awaitable[object]], *args: object, events: list[str] | None = None
) -> AbstractAsyncContextManager[None]:
    """A lifespan that starts a background task, and notes when it is left."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        start_soon(background, *args)
        try:
            yield
        finally:
            if events is not None:
                events.append("left")

    return lifespan()


async def test_a_background_task_ends_before_its_lifespan_is_left(events: list[str]) -> None:
    async def tick() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.lowlevel.checkpoint()
            events.append("ended")

    async with held(("clock", starting(tick, events=events))):
        await trio.testing.wait_all_tasks_blocked()
        assert events == []
    assert events == ["ended", "left"]


async def test_it_gets_its_arguments_and_the_name_of_its_plugin() -> None:
    names: list[str] = []

    async def note(word: str) -> None:
        names.append(f"{word} {trio.lowlevel.current_task().name}")

    async with held(("clock", starting(note, "in"))):
        await trio.testing.wait_all_tasks_blocked()
    (name,) = names
    assert name.startswith("in plugin clock: ")
    assert name.endswith("note")


async def test_a_background_task_may_end_by_itself_and_start_another(events: list[str]) -> None:
    async def child() -> None:
        events.append("child")

    async def parent() -> None:
        start_soon(child)

    async with held(("clock", starting(parent))):
        await trio.testing.wait_all_tasks_blocked()
        assert events == ["child"]


async def test_a_background_task_that_fails_takes_down_its_plugin(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    crashed: list[str] = []
    async with held(
        ("bad", starting(raising_soon, events=events)), ("good", noting(events, "good")), on_crash=crashed.append
    ):
        await trio.testing.wait_all_tasks_blocked()
        assert (crashed, sorted(events)) == (["bad"], ["good in", "left"])
    assert [record.getMessage() for record in caplog.records] == ["plugin 'bad': it crashed"]


async def raising_soon() -> None:
    await trio.lowlevel.checkpoint()
    raise ValueError("oops")


async def test_when_the_plugin_ends_nothing_can_be_started_any_more() -> None:
    refusals: list[str] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            try:
                start_soon(trio.sleep_forever)
            except RuntimeError as error:
                refusals.append(str(error))

    async with held(("clock", starting(stubborn))):
        await trio.testing.wait_all_tasks_blocked()
    assert refusals == ["plugin 'clock' is ending; it can no longer start tasks"]


def test_a_task_that_belongs_to_no_lifespan_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"^start_soon\(\) must be called from a plugin's lifespan"):
        start_soon(trio.sleep_forever)


class Clock:
    """Starts its task through the server, as plugins do."""

    def __init__(self) -> None:
        self.ticks = 0

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        server.start_soon(self._tick)
        yield

    async def _tick(self) -> None:
        while True:
            await trio.sleep(1)
            self.ticks += 1


def test_in_a_server_it_survives_a_cancellation_anywhere() -> None:
    async def scenario(chat: Chat) -> None:
        await chat.join("alice")
        await trio.sleep(2.5)
        clock = chat.plugins["clock"]
        assert isinstance(clock, Clock)
        assert clock.ticks == 2

    survey = cancel_everywhere(scenario, plugins=[Clock], targets=["lifespan", "server"])
    assert len(survey.cases) > 10
