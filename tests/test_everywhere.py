"""The server under the test kit: a cancellation at every checkpoint, a fault at every send, many schedules.

In each scenario, the server could leave something half done. The invariants of the kit must hold afterwards, whatever
went wrong.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import hypothesis
import pytest
import trio
from front_kit import ScriptFront
from hypothesis import strategies as st
from order_kit import ORDERS

from trichat import Client, Handled, Message, Person, Refuse, Server, hookimpl
from trichat._chat.core import Core
from trichat.fronts import Join, Login, Quit, Rename, Say
from trichat.testing import Chat, ChatMachine, Run, cancel_everywhere, explore, fault_everywhere

Scenario = Callable[[Chat], Awaitable[None]]


class Attendant:
    """A plugin that can be interrupted everywhere: it waits in every hook, and has a task of its own."""

    def __init__(self) -> None:
        self.here: set[Client] = set()
        self._send, self._receive = trio.open_memory_channel[str](10)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._greet, server)
            yield
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    async def _greet(self, server: Server) -> None:
        async for name in self._receive:
            await server.say("lobby", f"hello, {name}")

    @hookimpl
    async def on_connect(self, client: Client) -> None:
        self.here.add(client)
        await trio.sleep(0.01)

    @hookimpl
    async def on_join(self, client: Client) -> Refuse | None:
        await trio.sleep(0.01)
        return Refuse("not you") if client.name == "mallory" else None

    @hookimpl
    async def on_enter(self, client: Client, room: str) -> Refuse | None:
        await trio.sleep(0.01)
        return Refuse("not there") if room == "cellar" else None

    @hookimpl
    async def on_rename(self, client: Client, name: str) -> Refuse | None:
        await trio.sleep(0.01)
        return Refuse("not that") if name == "mallory" else None

    @hookimpl
    async def on_tell(self, client: Client, other: Person, text: str) -> str | None:
        await trio.sleep(0.01)
        return text.replace("darn", "dear") if "darn" in text else None

    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Handled | None:
        await trio.sleep(0.01)
        if message.text != "greet me":
            return None
        await self._send.send(client.name)
        return Handled()

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        await trio.sleep(0.01)

    @hookimpl
    async def on_disconnect(self, client: Client) -> None:
        await trio.sleep(0.01)
        self.here.discard(client)


async def meets_and_talks(chat: Chat) -> None:
    """Two people meet and talk, and one leaves."""
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await alice.hears("* bob joined")
    await alice.say("hi")
    await bob.hears("alice: hi")
    await bob.say("ho")
    await alice.hears("alice: hi", "bob: ho")
    await bob.say("bye")
    await alice.hears("* bob left")


async def come_at_once(chat: Chat) -> None:
    """Several people join at the same time, one of them with a name that is taken."""
    people = [chat.connect_silently(name=name) for name in ("alice", "bob", "bob2")]
    for person, name in zip(people, ("alice", "bob", "bob"), strict=True):
        await person.say(name, "hello")
    for person in people[:2]:
        await person.hears_up_to("* welcome, ")


async def is_refused(chat: Chat) -> None:
    """Somebody is refused a name, gives another one, and their connection breaks."""
    mallory = chat.connect_silently(name="mallory")
    await mallory.say("mallory", "mal")
    await mallory.hears_up_to("* welcome, ")
    await mallory.say("I am in")
    mallory.reset()


async def is_kicked(chat: Chat) -> None:
    """Somebody is kicked while saying something."""
    alice = await chat.join("alice")
    bob = await chat.join("bob")
    await bob.say("one", "two")
    for member in chat.server.members():
        if member.name == "bob":
            member.kick("that is enough")
    await bob.rest()
    await alice.hears_up_to("* bob left")


async def stops(chat: Chat) -> None:
    """Somebody stops the server while another client is joining."""
    alice = await chat.join("alice")
    chat.connect_silently(name="bob")
    await alice.say("last words", "stop")
    await alice.rest()


async def is_greeted(chat: Chat) -> None:
    """A plugin says something from a task of its own."""
    alice = await chat.join("alice")
    await alice.say("greet me")
    await alice.hears("* hello, alice")


async def does_not_read(chat: Chat) -> None:
    """Somebody does not read what the others say, and is disconnected."""
    alice = await chat.join("alice")
    sloth = await chat.join("sloth")
    sloth.stop_reading()
    await alice.hears("* sloth joined")
    (there,) = (member for member in chat.server.members() if member.name == "sloth")
    there.send("x" * 60_000)  # nearly as much as its kernel holds
    for _ in range(6):  # the rest of that, and more than its backlog
        await alice.say("x" * 4000)
        await trio.sleep(0.1)  # time for alice to take it, on any network
    await alice.hears_up_to("* sloth left")


async def has_a_plugin_replaced(chat: Chat) -> None:
    """A plugin is replaced in the middle of a dialogue."""
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("one")
    await bob.say("two")
    await chat.server.replace_plugin("attendant", Attendant())
    await alice.say("three")
    await bob.hears_up_to("alice: three")
    await bob.say("bye")


async def moves(chat: Chat) -> None:
    """Two people go to another room while both rooms talk, one of them is refused, and one comes back."""
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.enter("dev")
    await bob.say("one", "two")
    await alice.say("not for bob", "/join dev", "/join cellar", "three")
    await bob.hears_up_to("alice: three")
    await bob.say("four", "/join", "not for alice")
    await bob.hears_up_to("bob: not for alice")
    await alice.hears_up_to("* bob left")


async def is_renamed(chat: Chat) -> None:
    """People of two rooms take other names, one that was just given up, one that is refused, and go on talking."""
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.rename("al")
    await bob.say("/nick alice", "hi", "/nick mallory", "/join dev", "/nick bob", "/nick AL")
    await bob.hears_up_to("* the name 'AL' is taken")
    await alice.say("/nick Al", "/join dev")
    await alice.hears_up_to("* you are in dev")
    alice.hang_up()
    await bob.hears_up_to("* Al left")


async def whispers(chat: Chat) -> None:
    """Two people tell each other things in private, across rooms, to a new name, and after one has left."""
    alice, bob, carol = await chat.join("alice"), await chat.join("bob"), await chat.join("carol")
    await alice.tell("bob", "this is between the two of us")
    await bob.say("in public", "/join dev", "/msg alice: so is this, darn", "/nick rob")
    await bob.hears_up_to("* bob is now rob")
    await alice.tell("ROB", "are you there now?")
    await bob.hears("* alice to you: are you there now?")
    bob.reset()
    await alice.say("/msg rob: gone already?")
    await carol.hears_up_to("bob: in public")


async def is_in_several_rooms(chat: Chat) -> None:
    """Somebody in two rooms talks in both, takes another name, and leaves; each room is told of that once."""
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.enter("dev")
    front = ScriptFront()
    carol = await front.connect(chat, Login("carol"), Join("dev"))
    await carol.hears_up_to("Join: ok")
    await bob.say("/join", "hi", "/join dev")
    await front.ask(carol, Say("one"), Say("two", "lobby"), Rename("caro"), Say("three", "lobby"), Say("four"))
    await carol.hears_up_to("dev> caro: four")
    await front.ask(carol, Quit("enough"))
    for person in (alice, bob):
        await person.hears_up_to("* caro left: enough")


SCENARIOS = [
    meets_and_talks,
    come_at_once,
    is_refused,
    is_kicked,
    stops,
    is_greeted,
    does_not_read,
    moves,
    is_renamed,
    whispers,
    is_in_several_rooms,
]

# These have too many checkpoints to try them all each time.
LONG = [does_not_read, is_renamed, whispers, is_in_several_rooms]

# `make everywhere` tries all of them, and the rows below that the check leaves out: they take minutes.
IS_LONG = "TRICHAT_EVERYWHERE" in os.environ

# These options determine how much is on its way, and by which path.
CONFIGS: dict[str, Any] = {
    "default": {"server": {"backlog_bytes": 4096}},
    "synced": {"server": {"backlog_bytes": 4096}, "plugins": {"chat_log": {"fsync": "always", "replay": "all"}}},
}


def nobody_is_remembered(run: Run) -> None:
    """A plugin that notes who connects is told of everybody who disconnects."""
    assert run.chat is not None
    attendant = run.chat.plugins["attendant"]
    assert isinstance(attendant, Attendant)
    # If its lifespan was cancelled, it is told nothing more. If on_disconnect itself was cancelled, it cannot know.
    silenced = run.struck is not None and "attendant" in run.struck.label and "on_disconnect" in run.struck.label
    crashed = run.struck is not None and run.struck.label == "lifespan attendant"
    assert silenced or crashed or not attendant.here


def attendants() -> list[object]:
    """Return a new plugin for each run."""
    return [Attendant()]


def names(scenario: object) -> str | None:
    return getattr(scenario, "__name__", None)


def cancelled() -> Iterator[tuple[Scenario, str, str]]:
    """Yield the scenarios, each with a configuration and an order, in which everything is cancelled."""
    for scenario in SCENARIOS:
        if IS_LONG or scenario not in LONG:
            yield scenario, "default", "local"
            if IS_LONG or scenario is come_at_once:
                yield scenario, "default", "later"
    yield meets_and_talks, "synced", "local"
    yield meets_and_talks, "default", "later"
    if IS_LONG:
        yield meets_and_talks, "synced", "later"


@pytest.mark.parametrize(("scenario", "config", "order"), dict.fromkeys(cancelled()), ids=names)
def test_a_cancellation_anywhere_leaves_the_server_whole(
    scenario: Scenario, config: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Core, "order_class", ORDERS[order])
    survey = cancel_everywhere(scenario, plugins=attendants, config=CONFIGS[config], invariants=[nobody_is_remembered])
    assert len(survey.cases) > 100


@pytest.mark.parametrize("scenario", LONG, ids=names)
def test_a_cancellation_of_a_client_anywhere_in_a_long_scenario_leaves_the_server_whole(scenario: Scenario) -> None:
    cancel_everywhere(scenario, plugins=attendants, config=CONFIGS["default"], targets=["client"])


@pytest.mark.parametrize(
    ("scenario", "config"),
    [
        (scenario, config)
        for scenario in SCENARIOS
        for config in CONFIGS
        if (IS_LONG or scenario is not is_in_several_rooms)
        if config == "default" or scenario is meets_and_talks or (IS_LONG and scenario is not does_not_read)
    ],
    ids=names,
)
def test_a_fault_anywhere_leaves_the_server_whole(scenario: Scenario, config: str) -> None:
    survey = fault_everywhere(scenario, plugins=attendants, config=CONFIGS[config], invariants=[nobody_is_remembered])
    assert len(survey.cases) > 10


def test_a_plugin_that_is_replaced_leaves_the_server_whole_whatever_happens_meanwhile() -> None:
    # The other targets run the same code in the other scenarios.
    cancel_everywhere(has_a_plugin_replaced, plugins=attendants, targets=["lifespan", "scenario"])
    fault_everywhere(has_a_plugin_replaced, plugins=attendants)
    explore(has_a_plugin_replaced, 25, plugins=attendants)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=names)
def test_no_schedule_breaks_a_promise(scenario: Scenario) -> None:
    explore(scenario, 25, plugins=attendants, config=CONFIGS["default"], invariants=[nobody_is_remembered])


TestDialogues = ChatMachine.TestCase
TestDialogues.settings = hypothesis.settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)


class SlowDiskMachine(ChatMachine):
    """The same, but messages wait for the disk, and backlogs are small."""

    config = CONFIGS["synced"]
    lines = st.one_of(ChatMachine.lines, st.just("x" * 2000))


TestDialoguesOnASlowDisk = SlowDiskMachine.TestCase
TestDialoguesOnASlowDisk.settings = hypothesis.settings(TestDialogues.settings, max_examples=15)
