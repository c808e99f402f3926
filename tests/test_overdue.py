"""Calls that go on although their deadline has passed are named, once, with where they wait."""

from functools import partial

import pytest
import trio

from trichat import Message, hookimpl
from trichat._overdue import CLEANUP, Overdue, watching
from trichat.testing import running

pytestmark = pytest.mark.usefixtures("virtual_time")


async def call(overdue: Overdue, seconds: float, *, shielded: bool, plugin: str = "mirror") -> None:
    """A call with a deadline of 5 seconds that takes so long, if it may."""
    with trio.move_on_after(5) as scope:
        overdue.begin(scope, plugin, "on_message")
        try:
            with trio.CancelScope(shield=shielded):
                await trio.sleep(seconds)
        finally:
            overdue.end(scope)


def named(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_call_that_shields_itself_is_named_with_where_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    overdue = Overdue()
    async with watching(overdue):
        await call(overdue, 60, shielded=True)
    (line,) = named(caplog)
    assert line.startswith("plugin 'mirror' in on_message goes on although it was cancelled more than 1 s ago, at ")
    assert "test_overdue.py" in line
    assert "await trio.sleep(seconds)" in line


@pytest.mark.parametrize(
    ("seconds", "shielded"),
    [
        pytest.param(1, True, id="in time"),
        pytest.param(60, False, id="cancelled"),
        pytest.param(5 + CLEANUP / 2, True, id="with a little cleanup"),
    ],
)
async def test_a_call_that_ends_is_not(caplog: pytest.LogCaptureFixture, seconds: float, shielded: bool) -> None:
    overdue = Overdue()
    async with watching(overdue):
        await call(overdue, seconds, shielded=shielded)
        await trio.sleep(60)
    assert named(caplog) == []


async def test_each_is_named_also_later_ones(caplog: pytest.LogCaptureFixture) -> None:
    overdue = Overdue()
    async with watching(overdue):
        await call(overdue, 20, shielded=True, plugin="one")
        await trio.sleep(1000)
        async with trio.open_nursery() as nursery:
            for plugin in ("two", "three"):
                await trio.sleep(3)
                nursery.start_soon(partial(call, overdue, 20, shielded=True, plugin=plugin))
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
        assert line.startswith("plugin 'mirror' in on_message goes on although it was cancelled")
        assert "Mirror.on_message: await trio.sleep(60)" in line
        await trio.sleep(60)
