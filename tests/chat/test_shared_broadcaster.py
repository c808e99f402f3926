"""The broadcaster of a shared order: batches come back later, among those of other servers."""

from collections.abc import AsyncIterator, Sequence

import pytest
import trio
from client_kit import BoxOutbox, new_connection
from order_kit import LaterOrder
from recorder_kit import Recorder
from trio.testing import wait_all_tasks_blocked

from trichat import Message
from trichat._base.errors import NotSent
from trichat._chat.batch import Rename
from trichat._chat.client import Connection
from trichat._chat.core import Core
from trichat._chat.hub import Hub
from trichat._chat.shared_broadcaster import SharedBroadcaster
from trichat._plugins.dispatch import Plugins
from trichat.testing import Chat, cancel_everywhere, explore, running


class QuietOrder(LaterOrder):
    """An order in which others say only what a test inserts."""

    def before(self, drafts: Sequence[Message]) -> Sequence[Message]:
        return []


class Setup:
    """A running broadcaster, with its parts."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.hub = Hub(max_clients=1000, max_clients_per_address=1000)
        self.order = QuietOrder(lambda: 0)
        self.fatal: list[str] = []
        plugins = Plugins(hook_timeout=5)
        plugins.register("recorder", self.recorder)
        self.broadcaster = SharedBroadcaster(self.hub, plugins, self.order, self.fatal.append)
        self.inbox = self.broadcaster.inbox

    def client(self, name: str) -> tuple[Connection, BoxOutbox]:
        box = BoxOutbox()
        return new_connection(name=name, outbox=box), box

    async def member(self, name: str) -> tuple[Connection, BoxOutbox]:
        client, box = self.client(name)
        await self.inbox.join(client)
        return client, box

    def others_say(self, text: str) -> None:
        self.order.insert([Message(text, "stranger")])


@pytest.fixture
async def setup(virtual_time: object) -> AsyncIterator[Setup]:
    setup = Setup()
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        yield setup
        setup.inbox.close()


async def test_what_others_say_is_told_and_sent_in_the_one_order(setup: Setup) -> None:
    _, box = await setup.member("alice")
    setup.others_say("one")
    await setup.inbox.publish(Message("two", "alice"))
    await setup.inbox.flush()
    setup.others_say("three")
    await wait_all_tasks_blocked()
    assert box.lines == ["stranger: one", "alice: two", "stranger: three"]
    assert [message.sentence() for message in setup.recorder.kept] == ["alice joined", *box.lines]
    ids = [message.id for message in setup.recorder.kept]
    assert ids == sorted(set(ids))
    assert setup.broadcaster.last_sent == ids[-1]


async def test_nothing_is_sent_before_it_has_come_back(setup: Setup) -> None:
    alice, box = await setup.member("alice")
    await wait_all_tasks_blocked()
    assert not setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    assert box.lines == []


async def test_one_batch_is_in_flight_and_all_that_is_said_meanwhile_is_the_next(setup: Setup) -> None:
    await setup.member("alice")
    setup.recorder.held = trio.Event()
    published: list[int] = []
    publish = setup.order.publish

    async def counted(drafts: Sequence[Message]) -> None:
        published.append(len(drafts))
        await publish(drafts)

    setup.order.publish = counted  # type: ignore[method-assign]
    for number in range(5):
        await setup.inbox.publish(Message(str(number), "alice"))
        await wait_all_tasks_blocked()
    assert published == [1]
    setup.recorder.held.set()
    await setup.inbox.flush()
    assert published == [1, 4]


async def test_a_joiners_live_messages_begin_exactly_at_its_own_batch(setup: Setup) -> None:
    alice, box = setup.client("alice")
    setup.recorder.held = trio.Event()
    cursors: list[int] = []

    async def join() -> None:
        cursors.append(await setup.inbox.join(alice))

    async with trio.open_nursery() as nursery:
        setup.others_say("before")
        nursery.start_soon(join)
        await wait_all_tasks_blocked()  # it has its place, and the one before it is being delivered
        setup.others_say("after")
        setup.recorder.held.set()
    await wait_all_tasks_blocked()
    before, joined, after = setup.recorder.kept
    assert [each.text for each in (before, after)] == ["before", "after"]
    assert before.id < cursors[0] <= joined.id
    assert box.lines == ["stranger: after"]


async def test_a_join_that_is_told_to_nobody_takes_effect_between_two_entries(setup: Setup) -> None:
    alice, _ = await setup.member("alice")
    second, box = setup.client("alice")
    second.presence = alice.presence
    alice.presence.connections += (second,)
    setup.recorder.held = trio.Event()
    cursors: list[int] = []

    async def join() -> None:
        cursors.append(await setup.inbox.join(second))

    async with trio.open_nursery() as nursery:
        setup.others_say("one")
        await wait_all_tasks_blocked()
        nursery.start_soon(join)
        await wait_all_tasks_blocked()
        assert second.rooms == ()
        setup.recorder.held.set()
    assert cursors[0] > setup.recorder.kept[-1].id
    setup.others_say("two")
    await wait_all_tasks_blocked()
    assert box.lines == ["stranger: two"]


async def test_who_leaves_and_who_is_renamed_is_told_of_at_its_place(setup: Setup) -> None:
    _, box = await setup.member("alice")
    bob, _ = await setup.member("bob")
    assert setup.hub.hold(bob.presence, "robert")
    rename = Rename(bob.presence, "robert")
    await setup.inbox.put(rename)
    await rename.done.wait()
    setup.broadcaster.leave(bob)
    await setup.inbox.flush()
    assert box.lines == ["* bob joined", "* bob is now robert", "* robert left"]


async def test_what_gets_no_place_is_given_back(setup: Setup) -> None:
    alice, box = await setup.member("alice")
    bob, _ = await setup.member("bob")
    await setup.inbox.flush()
    setup.order.is_full = True
    await setup.inbox.publish(Message("hello", "alice"), alice)
    setup.broadcaster.leave(bob)
    with pytest.raises(NotSent, match="the engine is full"):
        await setup.member("carol")
    assert box.lines == ["* bob joined", "* not sent: the engine is full"]
    setup.order.is_full = False
    await setup.inbox.publish(Message("hello", "alice"), alice)
    await setup.inbox.flush()
    assert box.lines[2:] == ["alice: hello", "* bob left"]
    assert setup.fatal == []


async def test_what_can_be_taken_back_and_cannot_be_kept_is_given_back(setup: Setup) -> None:
    alice, box = await setup.member("alice")
    setup.recorder.failing = True
    setup.others_say("never heard")
    await setup.inbox.publish(Message("hello", "alice"), alice)
    await setup.inbox.flush()
    setup.recorder.failing = False
    await setup.inbox.publish(Message("hello again", "alice"), alice)
    await setup.inbox.flush()
    assert box.lines == ["* not sent: the plugin 'recorder' failed", "alice: hello again"]
    assert setup.fatal == []


@pytest.mark.parametrize("whose", ["its own", "another's"])
async def test_what_others_have_and_cannot_be_kept_here_is_the_last(setup: Setup, whose: str) -> None:
    alice, box = await setup.member("alice")
    setup.order.can_take_back = False
    setup.recorder.held = trio.Event()
    setup.recorder.failing = True
    if whose == "another's":
        setup.others_say("never heard")
    await setup.inbox.publish(Message("one", "alice"), alice)
    await wait_all_tasks_blocked()
    await setup.inbox.publish(Message("two", "alice"), alice)
    setup.recorder.held.set()
    await setup.inbox.flush()
    setup.recorder.failing = False
    with pytest.raises(NotSent, match="the plugin 'recorder' failed"):
        await setup.member("bob")
    setup.others_say("never heard either")
    await wait_all_tasks_blocked()
    assert box.lines == ["* not sent: the plugin 'recorder' failed"] * 2
    assert setup.fatal == ["the plugin 'recorder' failed, and others have what it should have kept"]


async def test_it_ends_when_it_is_closed_after_delivering_what_is_there(virtual_time: object) -> None:
    setup = Setup()
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        _, box = await setup.member("alice")
        bob, _ = await setup.member("bob")
        await setup.inbox.publish(Message("the last one", "alice"))
        setup.inbox.close()
        setup.broadcaster.leave(bob)
    assert box.lines == ["* bob joined", "alice: the last one", "* bob left"]


async def test_it_begins_after_an_earlier_run(setup: Setup) -> None:
    setup.broadcaster.resume_after(4_000)
    assert setup.broadcaster.last_sent == 4_000
    await setup.member("alice")
    assert setup.recorder.kept[0].id > 4_000


class FinalOrder(LaterOrder):
    """An order whose entries others have at once."""

    can_take_back = False


async def test_a_server_that_cannot_keep_what_others_have_stops(
    virtual_time: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Core, "order_class", FinalOrder)
    recorder = Recorder()
    async with running([recorder]) as chat:
        alice = await chat.join("alice")
        recorder.failing = True
        await alice.say("hello")
        assert await alice.rest() == [
            "* not sent: the plugin 'recorder' failed",
            "* the server is stopping (the plugin 'recorder' failed, and others have what it should have kept)",
        ]


class CrossTalk(LaterOrder):
    """An order in which somebody on another server says in the lobby what is said here, a little earlier."""

    def before(self, drafts: Sequence[Message]) -> Sequence[Message]:
        return [Message(f"{each.text}, too", "stranger") for each in drafts if each.kind == "said"]


async def talks_with_others(chat: Chat) -> None:
    """People come, speak and leave while others speak, too."""
    alice = await chat.join("alice")
    bob = chat.connect_silently(name="bob")
    await bob.say("bob", "hi")
    await alice.hears_up_to("bob: hi")
    await alice.say("one", "two")
    await bob.hears_up_to("alice: two")
    await bob.say("bye")
    await alice.hears_up_to("* bob left")


def test_no_cancellation_and_no_schedule_puts_what_others_say_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Core, "order_class", CrossTalk)
    survey = cancel_everywhere(talks_with_others)
    assert len(survey.cases) > 100
    explore(talks_with_others, 25)
