"""Which plugins are taken, what is said of those that are not, and the order in which their hooks are called."""

import re
from collections.abc import Callable, Iterator, Mapping

import pytest
from made_kit import Hook, Made, nothing

from trichat import PluginError, hookimpl
from trichat._config.plugin_policy import Policy
from trichat._plugins.registry import Registered, Registry


@pytest.fixture
def registry() -> Registry:
    return Registry()


def registered(name: str, plugin: object) -> Registered:
    return Registered(name, plugin, Policy(), 5)


def names(registry: Registry) -> list[str]:
    return [each.name for each in registry]


def wrapper() -> Iterator[None]:
    yield


# What is refused.


@pytest.mark.parametrize(
    "marker", [hookimpl(wrapper=True), hookimpl(hookwrapper=True)], ids=["wrapper", "old-style wrapper"]
)
def test_a_wrapper_is_refused_and_told_what_to_do_instead(registry: Registry, marker: Callable[[Hook], Hook]) -> None:
    plugin = Made()
    vars(plugin)["on_message"] = marker(wrapper)
    with pytest.raises(PluginError, match=r"plugin 'wrap' \(.*made_kit\.py\): on_message is a wrapper") as refused:
        registry.add(registered("wrap", plugin))
    assert "change the message that you are asked about, or use tryfirst" in str(refused.value)


def test_a_misspelled_hook_is_named_whenever_it_is_tried(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(PluginError) as refused:
            registry.add(registered("typo", Made(on_mesage=lambda message: None)))
        assert re.fullmatch(
            r"plugin 'typo' \(.*made_kit\.py\): unknown hook 'on_mesage' \(did you mean 'on_message'\?\)",
            str(refused.value),
        )


def test_an_argument_that_the_hook_does_not_have_is_named(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"plugin 'odd' .*'on_connect'.*'visitor'"):
        registry.add(registered("odd", Made(on_connect=lambda visitor: None)))


def test_what_is_wrong_with_a_plugin_is_told_in_one_line(registry: Registry) -> None:
    with pytest.raises(PluginError) as refused:
        registry.add(registered("odd", Made(on_connect=lambda visitor: None)))
    assert "\n" not in str(refused.value)


def test_a_plugin_without_hooks_is_refused(registry: Registry) -> None:
    forgotten = Made()
    vars(forgotten)["on_message"] = lambda message: None
    with pytest.raises(PluginError, match=r"plugin 'idle' \(.*\): it has no hooks; is @hookimpl missing\?"):
        registry.add(registered("idle", forgotten))


@pytest.mark.parametrize("hook", ["commands", "lifespan", "permits"])
def test_a_hook_that_nobody_can_wait_for_is_refused_as_an_async_def(registry: Registry, hook: str) -> None:
    async def late() -> None: ...

    with pytest.raises(PluginError, match=rf"plugin 'late' \(.*\): {hook} is an async def; it must be a plain def"):
        registry.add(registered("late", Made({hook: late})))


def test_two_plugins_cannot_have_one_name(registry: Registry) -> None:
    registry.add(registered("twin", Made(on_reload=nothing)))
    with pytest.raises(PluginError, match=r"plugin 'twin' \(.*\): another plugin has this name already"):
        registry.add(registered("twin", Made(on_reload=nothing)))
    assert names(registry) == ["twin"]


def test_one_plugin_cannot_have_two_names(registry: Registry) -> None:
    plugin = Made(on_reload=nothing)
    registry.add(registered("one", plugin))
    with pytest.raises(
        PluginError, match=r"plugin 'two' \(.*\): the plugin 'one' is the same object; make another one"
    ):
        registry.add(registered("two", plugin))
    assert names(registry) == ["one"]


@pytest.mark.parametrize("name", [1, "", None])
def test_a_name_is_a_string_that_is_not_empty(registry: Registry, name: str) -> None:
    with pytest.raises(
        PluginError, match=rf"plugin {name!r} .*: the name of a plugin must be a string that is not empty"
    ):
        registry.add(registered(name, Made(on_reload=nothing)))
    assert names(registry) == []


def test_a_class_is_not_a_plugin_and_its_object_is(registry: Registry) -> None:
    class Clock:
        @hookimpl
        def on_reload(self) -> None: ...

    with pytest.raises(PluginError, match=r"'clock' \(.*test_registry\.py\): it is a class; .* such as Clock\(\)$"):
        registry.add(registered("clock", Clock))
    registry.add(registered("clock", Clock()))
    assert names(registry) == ["clock"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"on_mesage": lambda: None}, id="a misspelled hook"),
        pytest.param({"on_message": lambda text: None}, id="a wrong argument"),
        pytest.param({"on_message": hookimpl(wrapper=True)(wrapper)}, id="a wrapper"),
    ],
)
def test_a_plugin_that_is_refused_leaves_nothing_behind(registry: Registry, bad: dict[str, Hook]) -> None:
    registry.add(registered("first", Made(on_connect=nothing)))
    plugin = Made(on_connect=nothing)
    vars(plugin).update({name: hook if hasattr(hook, "trichat_impl") else hookimpl(hook) for name, hook in bad.items()})
    with pytest.raises(PluginError):
        registry.add(registered("second", plugin))
    assert called(registry, "on_connect") == names(registry) == ["first"]

    registry.add(registered("second", Made(on_connect=nothing)))
    assert called(registry, "on_connect") == ["second", "first"]


# What a plugin wants to come before or after.


def called(registry: Registry, hook: str) -> list[str]:
    return [implementation.plugin for implementation in registry.hooks[hook]]


def ordered(registry: Registry, **wishes: Mapping[str, object]) -> list[str]:
    """Add plugins in this order, with their wishes, and return the order in which they are asked."""
    for name, wish in wishes.items():
        plugin = Made(on_message=nothing)
        for attribute, value in wish.items():
            setattr(plugin, attribute, value)
        registry.add(registered(name, plugin))
    return called(registry, "on_message")


def test_a_plugin_may_name_those_it_comes_before(registry: Registry) -> None:
    # Who has to wait goes behind whom it waits for; nobody else moves.
    assert ordered(registry, one={"before": ["three"]}, two={}, three={}) == ["two", "one", "three"]


def test_a_plugin_may_name_those_it_comes_after(registry: Registry) -> None:
    assert ordered(registry, one={}, two={}, three={"after": ["one"]}) == ["two", "one", "three"]


def test_who_has_no_wish_stays_where_it_is(registry: Registry) -> None:
    assert ordered(registry, one={}, two={"after": ["not there"]}, three={"before": []}) == ["three", "two", "one"]


def test_a_wish_goes_before_tryfirst(registry: Registry) -> None:
    registry.add(registered("eager", Made(tryfirst=True, on_message=nothing)))
    assert ordered(registry, patient={}, first={"before": ["eager"]}) == ["first", "eager", "patient"]


def test_a_cycle_is_refused_and_shown(registry: Registry) -> None:
    with pytest.raises(PluginError) as refusal:
        ordered(registry, one={"before": ["two"]}, two={"before": ["three"]}, three={"before": ["one"]})
    assert "the order of plugins has a cycle: " in str(refusal.value)
    cycle = str(refusal.value).partition("cycle: ")[2].split(" before ")
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"'one'", "'two'", "'three'"}
    assert cycle[1] == {"'one'": "'two'", "'two'": "'three'", "'three'": "'one'"}[cycle[0]]


def test_who_makes_a_cycle_leaves_nothing_behind(registry: Registry) -> None:
    with pytest.raises(PluginError):
        ordered(registry, one={"before": ["two"]}, two={"before": ["one"]})
    assert called(registry, "on_message") == names(registry) == ["one"]


@pytest.mark.parametrize("wrong", ["log", [1], [None]], ids=["a word", "a number", "nothing"])
def test_what_is_no_list_of_names_is_refused(registry: Registry, wrong: object) -> None:
    with pytest.raises(PluginError, match=r"plugin 'one': before is .*; expected a list of plugin names"):
        ordered(registry, one={"before": wrong})


# Another one in the place of a plugin.


@pytest.fixture
def three(registry: Registry) -> Registry:
    for name in ("one", "two", "three"):
        registry.add(registered(name, Made(on_message=nothing, on_join=nothing)))
    return registry


def test_another_one_has_its_place(three: Registry) -> None:
    another = registered("two", Made(on_message=nothing, on_connect=nothing))
    renewed = three.with_another(another)
    assert names(renewed) == ["one", "two", "three"]
    assert renewed["two"] is another
    assert called(renewed, "on_message") == ["three", "two", "one"]
    assert called(renewed, "on_connect") == ["two"]
    assert called(renewed, "on_join") == ["three", "one"]


def test_the_registry_itself_stays_as_it_is(three: Registry) -> None:
    before = three["two"]
    three.with_another(registered("two", Made(on_connect=nothing)))
    assert three["two"] is before
    assert called(three, "on_connect") == []


def test_the_others_are_the_same(three: Registry) -> None:
    renewed = three.with_another(registered("two", Made(on_message=nothing)))
    assert [renewed[name] is three[name] for name in ("one", "two", "three")] == [True, False, True]


def test_another_one_may_be_refused_as_any(three: Registry) -> None:
    with pytest.raises(PluginError, match="unknown hook 'on_mesage'"):
        three.with_another(registered("two", Made(on_mesage=nothing)))
