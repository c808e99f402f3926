"""The deadlines of plugins' calls: a call is cancelled when it is due; what keeps running is named, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trio.testing

from trichat import Message, hookimpl
from trichat._config.plugin_policy import CLEANUP, Policy
from trichat._plugins.deadlines import Calls, Deadlines, Overran
from trichat._plugins.registry import Registered
from trichat.testing import running

pytestmark = pytest.mark.usefixtures("virtual_time")

TIMEOUT = 5.0


def registered(name: str, seconds: float = TIMEOUT) -> Registered:
    return Registered(name, None, Policy(), seconds)


MIRROR = registered("mirror")


@asynccontextmanager
async def watched() -> AsyncIterator[Deadlines]:
    deadlines = Deadlines()
    deadlines.allow(TIMEOUT)
    async with trio.open_nursery() as nursery:
        await nursery.start(deadlines.watch)
        yield deadlines
        nursery.cancel_scope.cancel()


async def work(seconds: float, *, shielded: bool = False, answer: object = None) -> object:
    with trio.CancelScope(shield=shielded):
        await trio.sleep(seconds)
    return answer


async def call(calls: Calls, seconds: float, *, shielded: bool = False, plugin: Registered = MIRROR) -> object:
    return await calls.wait_for(work(seconds, shielded=shielded, answer="done"), plugin, "on_message")


async def call_alone(
    deadlines: Deadlines, seconds: float, *, shielded: bool = False, plugin: Registered = MIRROR
) -> None:
    with deadlines.calls() as calls, suppress(Overran):
        await call(calls, seconds, shielded=shielded, plugin=plugin)


def named(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_call_in_time_returns_its_answer() -> None:
    async with watched() as deadlines:
        with deadlines.calls() as calls:
            assert await call(calls, TIMEOUT - 0.1) == "done"


async def test_a_call_is_cancelled_when_it_is_due_and_the_next_one_has_all_of_its_time() -> None:
    async with watched() as deadlines:
        with deadlines.calls() as calls:
            for _ in range(3):
                before = trio.current_time()
                with pytest.raises(Overran):
                    await call(calls, 60)
                assert trio.current_time() - before == TIMEOUT
                assert await call(calls, TIMEOUT - 0.1) == "done"
        await trio.sleep(60)


async def test_calls_side_by_side_have_each_their_own_deadline() -> None:
    ended: list[tuple[str, float]] = []

    async def late(name: str) -> None:
        with deadlines.calls() as calls, pytest.raises(Overran):
            await call(calls, 60, plugin=registered(name))
        ended.append((name, trio.current_time() - begun))

    async with watched() as deadlines:
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for name in ("one", "two", "three"):
                nursery.start_soon(late, name)
                await trio.sleep(1)
    assert ended == [("one", 5), ("two", 6), ("three", 7)]


async def test_a_shorter_timeout_is_kept_although_the_watcher_sleeps_already() -> None:
    async with watched() as deadlines, trio.open_nursery() as nursery:
        nursery.start_soon(call_alone, deadlines, TIMEOUT - 0.1)
        await trio.sleep(1)
        deadlines.allow(0.5)
        with deadlines.calls() as calls:
            before = trio.current_time()
            with pytest.raises(Overran):
                await calls.wait_for(work(60), registered("quick", 0.5), "on_message")
            assert trio.current_time() - before == 0.5


async def test_an_answer_that_comes_although_the_call_was_cancelled_is_not_taken() -> None:
    async with watched() as deadlines:
        with deadlines.calls() as calls:
            with pytest.raises(Overran):
                await call(calls, TIMEOUT + 0.5, shielded=True)
            assert await call(calls, 1) == "done"


async def test_it_is_taken_and_named_where_late_answers_are(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as deadlines:
        with deadlines.calls() as calls:
            late = work(TIMEOUT + 0.5, shielded=True, answer="done")
            assert await calls.wait_for(late, MIRROR, "on_broadcast", takes_late=True) == "done"
            assert await call(calls, 1) == "done"
    assert named(caplog) == ["plugin 'mirror' in on_broadcast: it took longer than hook_timeout (5 s)"]


async def test_an_error_of_the_cleanup_is_what_it_fails_with() -> None:
    async def fails_late() -> None:
        try:
            await trio.sleep(60)
        finally:
            raise OSError("no space left")

    async with watched() as deadlines:
        with deadlines.calls() as calls:
            with pytest.raises(OSError, match="no space left"):
                await calls.wait_for(fails_late(), MIRROR, "on_broadcast")
            assert await call(calls, 1) == "done"


async def test_a_cancellation_from_outside_passes_through_also_after_the_deadline() -> None:
    async with watched() as deadlines:
        for when in (1, TIMEOUT):
            with trio.move_on_after(when) as scope, deadlines.calls() as calls:
                await call(calls, 60)
            assert scope.cancelled_caught


async def test_none_of_a_plugin_waits_for_its_calls_alone() -> None:
    async with watched() as deadlines, trio.open_nursery() as nursery:
        begun = trio.current_time()
        nursery.start_soon(partial(call_alone, deadlines, 4, plugin=registered("other")))
        nursery.start_soon(call_alone, deadlines, 1)
        nursery.start_soon(call_alone, deadlines, 3)
        await trio.testing.wait_all_tasks_blocked()
        await deadlines.none_of(MIRROR)
        assert trio.current_time() - begun == 3
        await deadlines.none_of(registered("mirror"))
        assert trio.current_time() - begun == 3


async def test_a_call_that_shields_itself_is_named_with_where_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as deadlines:
        await call_alone(deadlines, 60, shielded=True)
    (line,) = named(caplog)
    assert line.startswith(
        "plugin 'mirror' in on_message keeps running although it was cancelled more than 1 s ago, at "
    )
    assert "test_deadlines.py" in line
    assert "await trio.sleep(seconds)" in line


@pytest.mark.parametrize(
    ("seconds", "shielded"),
    [
        pytest.param(1, True, id="in time"),
        pytest.param(60, False, id="cancelled"),
        pytest.param(TIMEOUT + CLEANUP / 2, True, id="with a little cleanup"),
    ],
)
async def test_a_call_that_ends_is_not_named(caplog: pytest.LogCaptureFixture, seconds: float, shielded: bool) -> None:
    async with watched() as deadlines:
        with deadlines.calls() as calls, suppress(Overran):
            await call(calls, seconds, shielded=shielded)
        await trio.sleep(60)
    assert named(caplog) == []


async def test_each_is_named_also_later_ones(caplog: pytest.LogCaptureFixture) -> None:
    async with watched() as deadlines:
        await call_alone(deadlines, 20, shielded=True, plugin=registered("one"))
        await trio.sleep(1000)
        async with trio.open_nursery() as nursery:
            for plugin in ("two", "three"):
                await trio.sleep(3)
                nursery.start_soon(partial(call_alone, deadlines, 20, shielded=True, plugin=registered(plugin)))
    assert [line.split("'")[1] for line in named(caplog)] == ["one", "two", "three"]


class Mirror:
    @hookimpl
    async def on_message(self, message: Message) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(60)


async def test_in_a_server_it_is_the_plugin_that_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with running([Mirror]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await trio.sleep(7)
        (line,) = named(caplog)
        assert line.startswith("plugin 'mirror' in on_message keeps running although it was cancelled")
        assert "Mirror.on_message: await trio.sleep(60)" in line
        await trio.sleep(60)


class Hangs:
    """Never answers about a message with this text."""

    def __init__(self, text: str) -> None:
        self.text = text

    @hookimpl
    async def on_message(self, message: Message) -> None:
        if message.text == self.text:
            await trio.sleep_forever()


async def test_a_short_hook_timeout_is_kept_while_another_client_waits_for_a_patient_plugin() -> None:
    policies = {"patient": {"hook_timeout": 60}, "quick": {"hook_timeout": 1}}
    async with running({"patient": Hangs("a"), "quick": Hangs("b")}, {"plugins": policies}) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("a")
        await chat.settled()
        begun = trio.current_time()
        await bob.say("b")
        assert await bob.next_line(60) == "* not sent: the plugin 'quick' failed"
        assert trio.current_time() - begun == pytest.approx(1)
