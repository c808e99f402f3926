"""A run: what it plays, what it records, and what it raises."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest
import trio
from trio.lowlevel import checkpoint, spawn_system_task

from trichat import Message, PluginError, hookimpl
from trichat.testing import Chat, NotHeard, Person, Run, cancel_everywhere
from trichat.testing._exploring.run import MakePlugins, Scenario, made, play, takes_chat
from trichat.testing._exploring.strategies import PartDisturbance
from trichat.testing._probing.cancel_targets import Strike
from trichat.testing._probing.checkpoint_probe import Probe

PARROT_FILE = """\
from trichat import hookimpl


@hookimpl
def on_message(message):
    return message.with_text(f"{message.text}, {message.text}")
"""


class Parrot:
    """Says everything twice."""

    @hookimpl
    async def on_message(self, message: Message) -> Message:
        await checkpoint()
        return message.with_text(f"{message.text}, {message.text}")


def played(scenario: Scenario, folder: Path, strike: str = "", plugins: MakePlugins = ()) -> Run:
    """Play a scenario once, with or without a strike."""
    parsed = Strike.parse(strike) if strike else None
    probe = Probe(parsed)
    return play(scenario, Run(folder, probe, PartDisturbance(parsed, probe) if parsed else None, None), plugins=plugins)


async def talk(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.hears_up_to("alice: hello")


def test_it_notes_what_the_server_said_and_sent(tmp_path: Path) -> None:
    run = played(talk, tmp_path)
    assert [(message.kind, message.text or message.sentence()) for message in run.witness.sent] == [
        ("joined", "alice joined"),
        ("said", "hello"),
        ("joined", "newcomer joined"),
        ("said", "is anybody here?"),
        ("quit", "newcomer left"),
        ("quit", "alice left"),
    ]
    assert run.witness.connected == run.witness.disconnected
    assert len(run.witness.connected) == 2
    assert [line.partition("lobby ")[2] for line in run.log.splitlines()][:2] == ["* alice joined", "alice: hello"]


def test_somebody_comes_afterwards_and_looks_whether_the_server_goes_on(tmp_path: Path) -> None:
    run = played(talk, tmp_path)
    assert run.newcomer[-1] == "newcomer: is anybody here?"
    assert run.chat is not None
    assert [(person.label, count) for person, count in run.present.items()] == [("alice", 2)]
    assert "newcomer" not in "".join(part.label for part in run.probe.parts)


def test_nobody_comes_any_more_when_the_scenario_has_stopped_the_server(tmp_path: Path) -> None:
    async def stop(chat: Chat) -> None:
        alice = await chat.join("alice")
        await alice.say("stop")
        await alice.rest()

    run = played(stop, tmp_path)
    assert run.newcomer == []
    assert run.present == {}


def test_an_undisturbed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    run = played(talk, tmp_path)
    assert (run.left_behind, run.crashes, run.endless, run.failures) == ([], [], [], [])
    assert not run.disturbed
    assert run.struck is None


def test_the_parts_of_a_chat_are_its_server_its_clients_and_what_its_plugins_do(tmp_path: Path) -> None:
    run = played(talk, tmp_path, plugins=[Parrot])
    assert {part.label for part in run.probe.parts} == {
        "server",
        "lifespan chat_log",
        "lifespan topic",
        "client",
        "hook chat_log.history",
        "hook parrot.on_message",
    }


def test_a_scenario_without_a_chat_is_a_part_as_a_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        await trio.sleep(1)

    run = played(scenario, tmp_path)
    assert run.chat is None
    assert [part.label for part in run.probe.parts] == ["scenario"]
    assert run.log == ""


def test_a_plugin_writes_to_the_folder_of_the_run(tmp_path: Path) -> None:
    class Writer:
        @hookimpl
        def on_message(self) -> None:
            Path("written.txt").write_text("x")

    before = Path.cwd()
    played(talk, tmp_path, plugins=[Writer])
    assert (tmp_path / "written.txt").exists()
    assert Path.cwd() == before


def test_what_the_scenario_raises_comes_out_if_nothing_went_wrong(tmp_path: Path) -> None:
    async def disappointed(chat: Chat) -> None:
        alice = await chat.join("alice")
        await alice.hears("bob: hello")

    with pytest.raises(NotHeard, match=r"^alice expected 'bob: hello'"):
        played(disappointed, tmp_path)


def test_what_a_plain_scenario_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        await checkpoint()
        raise LookupError("a test")

    with pytest.raises(LookupError, match="a test"):
        played(scenario, tmp_path)


def test_after_a_strike_an_expectation_may_be_disappointed(tmp_path: Path) -> None:
    run = played(talk, tmp_path, "client @ 1")
    assert run.disturbed
    assert run.struck is not None
    assert run.struck.label == "client"
    assert run.crashes == []
    assert run.newcomer[-1] == "newcomer: is anybody here?"


def test_after_a_strike_so_may_be_one_of_several_people_who_act_at_the_same_time(tmp_path: Path) -> None:
    async def chatter(person: Person) -> None:
        await person.say("hello")
        await person.hears_up_to(f"{person.label}: hello")

    async def chorus(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(chatter, alice)
            nursery.start_soon(chatter, bob)

    run = played(chorus, tmp_path, "client @ 5")
    assert run.disturbed
    assert run.crashes == []


def test_a_strike_that_never_comes_is_no_disturbance(tmp_path: Path) -> None:
    run = played(talk, tmp_path, "client @ 1000")
    assert not run.disturbed
    assert run.disturbance is not None
    assert run.disturbance.describe() == "client ended before its checkpoint 1000"


def test_what_plugins_do_wrong_is_noted_and_not_printed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Fragile:
        @hookimpl
        def on_disconnect(self) -> None:
            raise LookupError("a test")

    run = played(talk, tmp_path, plugins=[Fragile])
    assert run.failures
    for failure in run.failures:
        told, raised = failure.splitlines()
        assert told == "plugin 'fragile' failed in on_disconnect: a test"
        assert re.fullmatch(
            r"  LookupError at test_run\.py:\d+ in \S+\.Fragile\.on_disconnect: raise LookupError\(.*\)", raised
        )
    assert not caplog.records


def test_a_task_that_is_left_is_named_with_the_line_where_it_waits(tmp_path: Path) -> None:
    async def tick() -> None:
        await trio.sleep(3600)

    async def scenario() -> None:
        spawn_system_task(tick)
        await trio.sleep(1)

    run = played(scenario, tmp_path)
    (left,) = run.left_behind
    assert left.startswith("the task tests.testing.exploring.test_run.")
    assert left.endswith("tick: await trio.sleep(3600)")


def test_plugins_may_be_classes_names_or_a_function_that_makes_them() -> None:
    module = ModuleType("zoo.parrot")
    exec(PARROT_FILE, vars(module))
    assert made([Parrot]) == {"parrot": Parrot}
    assert made({"polly": Parrot}) == {"polly": Parrot}
    assert made([module]) == {"parrot": module}
    assert made(lambda: [Parrot]) == {"parrot": Parrot}
    (one,), (other,) = (made(lambda: [Parrot()]).values() for _ in range(2))
    assert isinstance(one, Parrot)
    assert one is not other


def test_a_plugin_file_is_found_although_each_run_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parrot.py").write_text(PARROT_FILE)
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    run = played(talk_twice, tmp_path / "run", plugins=["parrot.py"])
    assert run.witness.sent[1].text == "hello, hello"


async def talk_twice(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("hello")
    await alice.hears("alice: hello, hello")


@pytest.mark.parametrize("plugins", [[Parrot()], {"polly": Parrot()}, (Parrot, Parrot())])
def test_instances_are_refused_because_they_carry_their_state_into_the_next_run(plugins: MakePlugins) -> None:
    with pytest.raises((TypeError, PluginError), match=r"would carry its state|two plugins"):
        cancel_everywhere(talk, plugins=plugins)


def test_a_refusal_says_what_to_give_instead() -> None:
    with pytest.raises(TypeError, match=r"Parrot object at .* would carry its state from one run into the next; give "):
        made([Parrot()])


async def with_chat(chat: Chat) -> None: ...


async def with_default(speed: float = 1) -> None: ...


async def with_nothing() -> None: ...


async def with_more(chat: Chat, *, lines: Sequence[str] = ()) -> None: ...


async def with_keyword(*, speed: float) -> None: ...


@pytest.mark.parametrize(
    ("scenario", "takes"),
    [(with_chat, True), (with_more, True), (with_nothing, False), (with_default, False), (with_keyword, False)],
)
def test_a_scenario_is_about_a_chat_if_it_has_a_parameter_for_one(scenario: Scenario, takes: bool) -> None:
    assert takes_chat(scenario) is takes


class Careful:
    """Notes how its lifespan went."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._events.append("entered")
        yield
        self._events.append("left")


@pytest.mark.parametrize(("strike", "events"), [("server @ 1", []), ("server @ 19", ["entered", "left"])])
def test_a_cancelled_server_ends_as_gracefully_as_ever(tmp_path: Path, strike: str, events: list[str]) -> None:
    noted: list[str] = []
    make: Callable[[], dict[str, object]] = lambda: {"careful": Careful(noted)}  # noqa: E731
    run = played(talk, tmp_path, strike, make)
    assert noted == events
    assert run.left_behind == []
    assert run.crashes == []
    assert run.newcomer == []
