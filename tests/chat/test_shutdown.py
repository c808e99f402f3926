"""The end of a server: it is requested once, and the first reason counts."""

import trio
import trio.testing

from trichat._chat.shutdown import Shutdown


def test_nothing_is_announced_before_it_is_asked_for() -> None:
    shutdown = Shutdown()
    assert not shutdown.requested.is_set()
    assert shutdown.announcement == ""


def test_the_reason_is_announced_if_there_is_one() -> None:
    silent, spoken = Shutdown(), Shutdown()
    silent.request("")
    spoken.request("back at noon")
    assert silent.announcement == "the server is stopping"
    assert spoken.announcement == "the server is stopping (back at noon)"


def test_the_first_request_counts() -> None:
    shutdown = Shutdown()
    shutdown.request("stopped by alice")
    shutdown.request("the plugin 'log' failed", failed=True)
    assert shutdown.announcement == "the server is stopping (stopped by alice)"
    assert not shutdown.failed


async def test_it_cuts_both_parts_of_a_start_short(autojump_clock: object) -> None:
    shutdown = Shutdown()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with shutdown.entering_plugins:
                await trio.sleep_forever()
            with shutdown.opening_listeners:
                await trio.sleep_forever()

        await trio.testing.wait_all_tasks_blocked()
        shutdown.request("")
