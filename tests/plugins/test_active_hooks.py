"""The active_hooks: who is called in which hook, and what becomes of those that crash or fail too often."""

import pytest
import trio

from trichat import hookimpl, hookspecs
from trichat._config.plugin_policy import Policy
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.registry import Registered


class Guard:
    @hookimpl
    def on_message(self) -> None:
        pass

    @hookimpl
    def on_disconnect(self) -> None:
        pass


class Log:
    @hookimpl
    def on_broadcast(self) -> None:
        pass

    @hookimpl
    def on_reload(self) -> None:
        pass


class Given:
    """A active_hooks, and what it has said."""

    def __init__(self) -> None:
        self.out: list[tuple[str, str]] = []
        self.fatal: list[str] = []
        self.active = ActiveHooks(
            on_silenced=lambda name, why: self.out.append((name, why)), on_fatal=self.fatal.append
        )

    def add(self, name: str, plugin: object, **policy: object) -> Registered:
        registered = Registered(name, plugin, Policy(**policy).in_effect(), 5.0)  # type: ignore[arg-type]
        self.active.add(registered)
        return registered

    def fail(self, owner: Registered, hook: str = "on_message", times: int = 1) -> None:
        for _ in range(times):
            self.active.note_failure(owner, hook)

    def called(self, hook: str) -> list[str]:
        return self.active.order()[hook]


@pytest.fixture
def given() -> Given:
    return Given()


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is always noon: nobody who is asked here needs a loop."""
    monkeypatch.setattr(trio, "current_time", lambda: 43_200.0)


def test_who_implements_a_hook_is_called_in_it_last_one_first(given: Given) -> None:
    given.add("one", Guard())
    given.add("two", Guard())
    given.add("log", Log())

    assert given.called("on_message") == ["two", "one"]
    assert given.called("on_broadcast") == ["log"]
    assert given.active.implements(hookspecs.on_message)
    assert not given.active.implements(hookspecs.on_connect)


def test_who_has_crashed_refuses_what_it_is_asked_and_is_told_nothing(given: Given) -> None:
    given.add("guard", Guard())

    why = given.active.mark_crashed("guard")

    assert why == "it crashed; it is told nothing any more, and refuses what it is asked"
    assert given.out == [("guard", why)]
    assert given.active.crashed == {"guard"}
    (refusing,) = given.active.hooks["on_message"]
    with pytest.raises(Exception, match="it crashed earlier, and refuses whatever it is asked"):
        refusing.call(None, None)
    assert given.called("on_disconnect") == []
    assert given.fatal == []


def test_who_is_skipped_when_it_fails_is_not_asked_any_more_when_it_has_crashed(given: Given) -> None:
    given.add("guard", Guard(), on_error="skip")

    assert (
        given.active.mark_crashed("guard") == "it crashed; it is told nothing any more, and is asked nothing any more"
    )
    assert given.called("on_message") == []


def test_without_hooks_a_crash_has_no_consequences_to_tell(given: Given) -> None:
    class OnlyALifespan:
        @hookimpl
        def lifespan(self) -> None:
            pass

    given.add("bot", OnlyALifespan())

    assert given.active.mark_crashed("bot") == "it crashed"


def test_who_fails_too_often_is_told_nothing_any_more_and_still_asked(given: Given) -> None:
    guard = given.add("guard", Guard(), quarantine_after=3)

    given.fail(guard, times=2)
    assert given.out == []
    given.fail(guard)

    assert given.out == [
        ("guard", "it failed 3 times within a minute; it is told nothing any more, and is still asked")
    ]
    assert given.called("on_message") == ["guard"]
    assert given.called("on_disconnect") == []


def test_who_is_required_is_told_of_each_batch_however_often_it_fails(given: Given) -> None:
    log = given.add("log", Log(), required=True, quarantine_after=1)

    given.fail(log, "on_broadcast")

    assert given.called("on_broadcast") == ["log"]
    assert given.out == [("log", "it failed once within a minute; it is still told on_broadcast and on_reload")]


def test_who_fails_too_often_is_still_told_of_reloads_and_one_that_succeeds_ends_that(given: Given) -> None:
    log = given.add("log", Log(), quarantine_after=1)

    given.fail(log, "on_broadcast")

    assert given.out == [("log", "it failed once within a minute; it is told nothing any more but on_reload")]
    assert (given.called("on_broadcast"), given.called("on_reload")) == ([], ["log"])

    given.active.end_quarantine("log")

    assert given.called("on_broadcast") == ["log"]


def test_failing_in_a_reload_is_not_counted(given: Given) -> None:
    guard = given.add("guard", Guard(), quarantine_after=1)

    given.fail(guard, "on_reload", times=3)

    assert given.out == []


def test_who_has_crashed_is_not_counted_any_more(given: Given) -> None:
    guard = given.add("guard", Guard(), on_error="stop")

    given.active.mark_crashed("guard")
    given.fail(guard)

    assert given.fatal == ["the plugin 'guard' crashed"]


def test_who_stops_the_server_when_it_fails_does_so_at_once(given: Given) -> None:
    guard = given.add("guard", Guard(), on_error="stop")

    given.fail(guard)

    assert given.fatal == ["the plugin 'guard' failed"]


def test_plugins_are_known_by_their_files(given: Given) -> None:
    assert given.active.files == {}

    given.add("guard", Guard())

    assert given.active.files == {__file__: "guard"}


def test_another_one_in_its_place_begins_anew(given: Given) -> None:
    given.add("guard", Guard())
    given.active.mark_crashed("guard")
    another = Registered("guard", Guard(), Policy(), 5.0)

    given.active.install(given.active.registry.with_another(another), "guard")

    assert given.active.crashed == set()
    (implementation,) = given.active.hooks["on_disconnect"]
    assert implementation.owner is another
