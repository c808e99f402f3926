"""Reloading: one at a time, to its end, whoever asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trichat import Server, hookimpl
from trichat._reload import Reloader


class Slow:
    """A plugin that takes a second to reload."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self._fault = fault

    @hookimpl
    async def on_reload(self) -> None:
        self.begun += 1
        await trio.sleep(1)
        self.ended += 1
        if self._fault is not None:
            raise self._fault


@asynccontextmanager
async def reloading(**plugins: object) -> AsyncIterator[Reloader]:
    reloader = Reloader(Server(plugins=plugins, listeners=[]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloader.run)
        yield reloader
        nursery.cancel_scope.cancel()


async def test_who_asks_can_wait_until_it_is_done(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        await reloader.ask().done.wait()
        assert slow.ended == 1


async def test_who_waits_is_told_what_failed(virtual_time: object, caplog: pytest.LogCaptureFixture) -> None:
    fault = OSError(2, "No such file", "motd.txt")
    async with reloading(good=Slow(), bad=Slow(fault)) as reloader:
        reload = reloader.ask()
        await reload.done.wait()
    assert reload.failures == ["the plugin 'bad' failed: motd.txt: No such file"]
    assert caplog.messages == ["plugin 'bad' failed in on_reload: motd.txt: No such file"]


async def test_one_who_does_not_wait_any_more_does_not_break_it_off(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        with trio.move_on_after(0.1):
            await reloader.ask().done.wait()
        await trio.sleep(1)
        assert (slow.begun, slow.ended) == (1, 1)


async def test_all_who_ask_before_it_begins_share_one_and_who_comes_later_gets_another(virtual_time: object) -> None:
    slow = Slow()
    async with reloading(slow=slow) as reloader:
        first, same = reloader.ask(), reloader.ask()
        assert first is same
        await wait_all_tasks_blocked()
        later = [reloader.ask() for _ in range(5)]
        await first.done.wait()
        assert not later[0].done.is_set(), "files may have changed since the first one had read them"
        for reload in later:
            await reload.done.wait()
        assert (slow.begun, slow.ended) == (2, 2)
