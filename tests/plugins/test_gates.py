"""The gates at which calls wait while a new version takes a plugin's place."""

import pytest
import trio
from made_kit import Made
from trio.testing import wait_all_tasks_blocked

from trichat._plugins.dispatch import Plugins


@pytest.fixture
def plugins() -> Plugins:
    plugins = Plugins(5.0)
    plugins.register("filter", Made(on_reload=lambda: None))
    plugins.register("other", Made(on_reload=lambda: None))
    return plugins


def replace(plugins: Plugins) -> None:
    with plugins.gates.holding("filter"):
        plugins.active.install(plugins.with_another("filter", Made(on_reload=lambda: None)), "filter")


def test_a_gate_is_closed_for_one_plugin_and_as_long_as_it_is_held(plugins: Plugins) -> None:
    held, other = plugins.active.registry
    with plugins.gates.holding("filter"):
        assert (held.takes_calls, other.takes_calls) == (False, True)
        assert list(plugins.gates.closed) == ["filter"]
    assert held.takes_calls
    assert not plugins.gates.closed


def test_a_gate_opens_even_if_replacing_fails(plugins: Plugins) -> None:
    with pytest.raises(ValueError, match="no"), plugins.gates.holding("filter"):
        raise ValueError("no")
    assert plugins.active.registry["filter"].takes_calls


def test_the_gate_of_one_that_was_replaced_stays_closed(plugins: Plugins) -> None:
    old = plugins.active.registry["filter"]
    replace(plugins)
    assert not old.takes_calls
    assert plugins.active.registry["filter"].takes_calls


async def test_who_waits_goes_on_when_no_gate_is_closed_again(plugins: Plugins, nursery: trio.Nursery) -> None:
    gone_on = trio.Event()

    async def wait() -> None:
        await plugins.gates.wait("filter")
        gone_on.set()

    with plugins.gates.holding("filter"):
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
    with plugins.gates.holding("filter"):
        await wait_all_tasks_blocked()
        assert not gone_on.is_set()
    await wait_all_tasks_blocked()
    assert gone_on.is_set()


async def test_the_successor_is_the_one_that_has_the_place_and_the_hook(plugins: Plugins) -> None:
    other, old = plugins.active.hooks["on_reload"]
    assert await plugins.gates.successor("on_reload", old) is old
    replace(plugins)
    new = await plugins.gates.successor("on_reload", old)
    assert new is not None
    assert new.owner is plugins.active.registry["filter"]
    assert await plugins.gates.successor("on_reload", other) is other
    assert await plugins.gates.successor("on_message", old) is None
