"""A plugin that fails on purpose, next to the one under test."""

import pytest
import trio

from trichat._server import core_of
from trichat.testing import running
from trichat.testing._conformance.neighbour import Neighbour, Quiet


@pytest.mark.parametrize("first", [True, False])
async def test_it_fails_in_its_hook_and_says_so(virtual_time: object, *, first: bool) -> None:
    neighbour = Neighbour("on_message", hangs=False, first=first)
    async with running({"neighbour": neighbour.plugin, "quiet": Quiet()}) as chat:
        order = core_of(chat.server).plugins.active.order()["on_message"]
        assert order.index("neighbour") == (0 if first else len(order) - 1)
        alice = await chat.join("alice")
        assert not neighbour.happened
        await alice.say("hello")
        await alice.hears("* not sent: the plugin 'neighbour' failed")
    assert neighbour.happened


async def test_it_may_hang_instead(virtual_time: object) -> None:
    neighbour = Neighbour("on_message", hangs=True, first=True)
    async with running({"neighbour": neighbour.plugin}) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        assert neighbour.happened
        await trio.sleep(chat.server.options.hook_timeout + 1)  # virtual seconds
        await alice.hears("* not sent: the plugin 'neighbour' failed")


def test_its_name_is_that_of_the_case_and_only_its_own_failure_is_excused() -> None:
    neighbour = Neighbour("history", hangs=True, first=False)
    assert str(neighbour) == "a neighbour that hangs in history, last"
    assert neighbour.describe() == f"with {neighbour}"
    assert neighbour.excuses("plugin 'neighbour' failed in history")
    assert not neighbour.excuses("plugin 'dice' failed in history")
