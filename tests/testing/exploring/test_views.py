"""What people saw of each room: for each promise, a server that breaks it, and what is said about it.

What only the server could do wrong is patched into it. Where that is hard to arrange, the test makes up what was heard.
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from scenario_kit import NO_LOG

from trichat import Message, hookimpl
from trichat._chat.broadcaster import Broadcaster
from trichat._chat.hub import Hub
from trichat._net.outbox import Outbox
from trichat.testing import Chat, Invariant, Person, Run
from trichat.testing._chat.dialogue import Dialogue
from trichat.testing._exploring.run import Scenario, play
from trichat.testing._exploring.views import Stay, rooms_are_apart, stays_of, views_agree
from trichat.testing._probing.checkpoint_probe import Probe

WELCOME = "* welcome, alice; you are the first here; /help shows the commands"


def test_stays_are_split_by_what_one_hears_on_entering_a_room() -> None:
    heard = [
        "* welcome to trichat; type your name and press Enter",
        "[2026-11-22 13:29:00] bob: old",
        WELCOME,
        "alice: hi",
        "* alice is now al",
        "[2026-11-22 13:29:01] bob: * you are in den; here: bob",
        "bob: late",
        "* you are in dev; topic: x; here: bob",
        "bob: * you are in den; here: bob",
        "* you are in dev already",
    ]
    live = ["bob: * you are in den; here: bob", "* you are in dev already"]
    assert list(stays_of(heard)) == [
        Stay("lobby", "alice", "al", ["bob: old"], ["alice: hi", "* alice is now al", "bob: late"], is_last=False),
        Stay("dev", "al", "al", ["bob: * you are in den; here: bob"], live, is_last=True),
    ]


def test_a_history_without_a_welcome_is_a_stay_in_the_lobby_of_which_nothing_was_heard_live() -> None:
    assert list(stays_of(["* hello", "[2026-11-22 13:29:00] bob: old"])) == [
        Stay("lobby", "", "", ["bob: old"], [], is_last=True)
    ]


# With the server as it should be, nothing is found; with each of the mistakes below, something is.


async def everybody_moves(chat: Chat) -> None:
    """Three people talk in two rooms, go to and fro, and take other names."""
    alice, bob, carol = await chat.join("alice"), await chat.join("bob"), await chat.join("carol")
    await bob.enter("dev")
    await bob.say("one", "two")
    await carol.say("for the lobby")
    await alice.enter("dev")
    await alice.say("/nick al")
    await chat.settled()
    await bob.say("three")
    await carol.say("for the lobby, too")
    await chat.settled()
    await alice.enter("lobby")
    await carol.say("bye")
    await chat.settled()


class Memory:
    """Keeps the history in memory."""

    def __init__(self) -> None:
        self._kept: list[Message] = []

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self._kept += messages

    @hookimpl
    def history(self, room: str, after: int, before: int) -> Sequence[Message]:
        return [message for message in self._kept if room in message.rooms and after < message.id < before]


class Forgetful(Memory):
    """The same, but the last message is missing."""

    @hookimpl
    def history(self, room: str, after: int, before: int) -> Sequence[Message]:
        return list(super().history(room, after, before))[:-1]


def played(folder: Path, plugin: type = Memory, scenario: Scenario = everybody_moves) -> Run:
    return play(scenario, Run(folder, Probe()), plugins=[plugin], config=NO_LOG)


def found(invariant: Invariant, run: Run) -> str:
    """Return what an invariant says."""
    with pytest.raises(AssertionError) as caught:
        invariant(run)
    return str(caught.value).partition("\nassert ")[0]  # pytest adds the values


def test_a_good_server_breaks_nothing(tmp_path: Path) -> None:
    run = played(tmp_path)
    views_agree(run)
    rooms_are_apart(run)


def test_a_message_between_the_history_and_what_is_live_is_missing(tmp_path: Path) -> None:
    said = found(views_agree, played(tmp_path, Forgetful))
    assert said.startswith("alice saw ['bob: one', '* alice is now al', 'bob: three'] in dev, but the server sent ")


def test_somebody_is_shown_the_last_message_of_a_history_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_in = Broadcaster._let_in

    def let_in_too_early(broadcaster: Broadcaster, joins: object, cursor: int) -> None:
        let_in(broadcaster, joins, cursor)  # type: ignore[arg-type]
        for join in joins:  # type: ignore[attr-defined]
            join.connection.outbox.put(b"bob: two\n")

    monkeypatch.setattr(Broadcaster, "_let_in", let_in_too_early)
    assert "'bob: two', 'bob: two'" in found(views_agree, played(tmp_path))


def test_somebody_stays_in_the_former_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "leave", lambda *_: None)
    said = found(rooms_are_apart, played(tmp_path))
    assert said == "alice was in dev, and heard '* alice left', which was for lobby"


def test_what_the_former_room_says_is_heard_after_entering_the_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowDoors:
        @hookimpl
        async def on_enter(self) -> None:
            await trio.sleep(1)

    async def scenario(chat: Chat) -> None:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("/join dev")
        await trio.sleep(0.5)
        await bob.say("wait for me")
        await chat.settled()
        await trio.sleep(1)

    monkeypatch.setattr(Outbox, "put_ahead", lambda _: None)
    said = found(rooms_are_apart, played(tmp_path, SlowDoors, scenario))
    assert said == "alice was in dev, and heard 'bob: wait for me', which was for lobby"


@pytest.mark.parametrize("kind", ["renamed", "quit"])
@pytest.mark.parametrize("times", [0, 2])
def test_a_change_of_name_or_a_departure_is_not_seen_exactly_once(
    times: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Broadcaster._send

    async def send_so_often(broadcaster: Broadcaster, messages: Sequence[Message], batch: object) -> None:
        many = [message for message in messages for _ in range(times if message.kind == kind else 1)]
        await send(broadcaster, many, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Broadcaster, "_send", send_so_often)
    said = found(views_agree, played(tmp_path)).partition("the server sent")[0]
    assert said.count({"renamed": "'* alice is now al'", "quit": "'* carol left'"}[kind]) == times


# What was heard is made up here: alice was welcomed, and then heard this, while the server sent that.

JOINED = Message("", "alice", kind="joined")
HI = Message("hi", "bob")
HO = Message("ho", "bob")
LEFT = Message("", "alice", kind="left")
QUIT = Message("", "bob", ("lobby", "dev"), "quit")
IN_DEV = Message("", "alice", ("dev",), "joined")


def run_of(heard: Sequence[str], sent: Sequence[Message], folder: Path, *, is_present: bool = False) -> Run:
    run, alice = Run(folder, Probe()), Person("alice", Dialogue(), str)
    run.chat = cast("Chat", SimpleNamespace(people=[alice]))
    alice.heard = [WELCOME, *heard]
    run.witness.batches = [sent]
    run.present = {alice: len(sent)} if is_present else {}
    return run


def test_everything_from_joining_to_leaving_is_what_has_to_be_heard(tmp_path: Path) -> None:
    run = run_of(["bob: hi", "bob: ho", "* you are in dev; here: bob"], [JOINED, HI, HO, LEFT, IN_DEV], tmp_path)
    views_agree(run)
    rooms_are_apart(run)


@pytest.mark.parametrize(
    ("heard", "sent", "what"),
    [
        pytest.param(["bob: ho", "bob: hi"], [JOINED, HI, HO], "but the server sent", id="another order"),
        pytest.param(["bob: hi", "bob: hi"], [JOINED, HI], "but the server sent", id="twice"),
        pytest.param(["* bob left"] * 2, [JOINED, QUIT], "but the server sent", id="twice, once for each room"),
        pytest.param(["bob: ho"], [JOINED, HI, HO], "with a gap after joining", id="a gap at the beginning"),
        pytest.param(["bob: hi"], [HI, JOINED], "with a gap after joining", id="before joining"),
        pytest.param(
            ["bob: hi", "* you are in dev; x"], [JOINED, HI, HO, LEFT, IN_DEV], "not all up to leaving", id="too little"
        ),
        pytest.param(
            ["bob: hi", "* you are in dev; x"], [JOINED, LEFT, HI, IN_DEV], "with a gap after joining", id="too much"
        ),
        pytest.param(["bob: hi"], [JOINED, HI, HO], "alice missed ['bob: ho'] in lobby", id="not up to the end"),
    ],
)
def test_what_differs_is_said(heard: Sequence[str], sent: Sequence[Message], what: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        views_agree(run_of(heard, sent, tmp_path, is_present=True))
    assert what in str(caught.value)


def test_others_may_join_and_leave_in_the_same_batch(tmp_path: Path) -> None:
    others = [Message("", "bob", kind="joined"), Message("", "bob", kind="left")]
    sent = [JOINED, others[0], HI, others[1], LEFT, IN_DEV]
    views_agree(run_of(["bob: hi", "* you are in dev; you are the first here"], sent, tmp_path))


@pytest.mark.parametrize("is_present", [False, True])
def test_who_is_disconnected_on_entering_a_room_may_hear_it_without_being_told_so(
    is_present: bool, tmp_path: Path
) -> None:
    in_dev = Message("hi", "carol", ("dev",))
    run = run_of(["carol: hi"], [JOINED, LEFT, IN_DEV, in_dev], tmp_path, is_present=is_present)
    if is_present:
        with pytest.raises(AssertionError, match="alice was in lobby, and heard 'carol: hi', which was for dev"):
            rooms_are_apart(run)
    else:
        rooms_are_apart(run)


async def ignores(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.say("/ignore BOB")
    await chat.settled()
    await bob.say("one", "/nick rob", "two", "/join dev", "three")
    await chat.settled()
    await alice.say("what did they say?", "/join dev")
    await chat.settled()


def test_the_words_of_somebody_whom_one_ignores_need_not_be_seen(tmp_path: Path) -> None:
    run = played(tmp_path, Memory, ignores)
    assert "* bob is now rob" in run.chat.people[0].heard if run.chat else False
    views_agree(run)
