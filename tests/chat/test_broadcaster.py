"""The broadcaster alone: order, batches, joining and leaving, failing plugins."""

import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import trio
from client_kit import BoxOutbox, new_connection
from recorder_kit import Recorder
from trio.testing import MockClock, wait_all_tasks_blocked

from trichat import Message, hookimpl
from trichat._base.errors import RequiredPluginFailed
from trichat._base.task_tree import task_tree
from trichat._chat.broadcaster import BYTES_AT_ONCE, LONGEST_AT_ONCE, MEMBERS_AT_ONCE
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat._chat.inbox import CAPACITY
from trichat._chat.local_broadcaster import LocalBroadcaster
from trichat._chat.order import LocalOrder
from trichat._plugins.dispatch import Plugins
from trichat.testing import run
from trichat.testing._chat.schedule import schedule


class QuickRecorder(Recorder):
    """A recorder that never waits."""

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:  # type: ignore[override]
        if self.failing:
            raise OSError(28, "No space left on device")
        self.batches.append([message.text or message.sentence() for message in messages])


class Setup:
    """A running broadcaster, with its parts."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder or Recorder()
        self.hub = Hub(max_clients=1000, max_clients_per_address=1000)
        plugins = Plugins(hook_timeout=5)
        plugins.register("recorder", self.recorder)
        self.broadcaster = LocalBroadcaster(self.hub, plugins, LocalOrder(time.time_ns))

    def client(self, name: str) -> tuple[Connection, BoxOutbox]:
        box = BoxOutbox()
        return new_connection(name=name, outbox=box), box

    def add(self, name: str, plugin: object) -> None:
        self.broadcaster.plugins.register(name, plugin)

    async def member(self, name: str) -> tuple[Connection, BoxOutbox]:
        client, box = self.client(name)
        await self.broadcaster.inbox.join(client)
        return client, box


@pytest.fixture
async def setup(virtual_time: object) -> AsyncIterator[Setup]:
    setup = Setup()
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        yield setup
        setup.broadcaster.inbox.close()


@pytest.fixture
async def quick_setup(virtual_time: object) -> AsyncIterator[Setup]:
    setup = Setup(QuickRecorder())
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        yield setup
        setup.broadcaster.inbox.close()


async def test_what_is_there_goes_as_one_batch_encoded_once_for_all(setup: Setup) -> None:
    _, first = await setup.member("alice")
    _, second = await setup.member("bob")
    first.chunks.clear()
    for text in ("one", "two", "three"):
        await setup.broadcaster.inbox.publish(Message(text, "alice"))
    await setup.broadcaster.inbox.flush()
    assert setup.recorder.batches[-1] == ["one", "two", "three"]
    assert first.chunks == [b"alice: one\nalice: two\nalice: three\n"]
    assert second.chunks[-1] is first.chunks[-1]


async def test_a_room_hears_only_what_is_said_in_it(setup: Setup) -> None:
    _, lobby = await setup.member("alice")
    dave, kitchen = setup.client("dave")
    await setup.broadcaster.inbox.join(dave, "kitchen")
    await setup.broadcaster.inbox.publish(Message("dinner is ready", "dave", ("kitchen",)))
    await setup.broadcaster.inbox.publish(Message("hello", "alice"))
    await setup.broadcaster.inbox.flush()
    assert kitchen.lines == ["dave: dinner is ready"]
    assert lobby.lines == ["alice: hello"]


async def test_ids_strictly_increase_over_batches(setup: Setup) -> None:
    seen: list[int] = []

    class Ids:
        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            seen.extend(message.id for message in messages)

    setup.broadcaster.plugins.register("ids", Ids())
    for number in range(50):
        await setup.broadcaster.inbox.publish(Message(str(number), "alice"))
        if number % 7 == 0:
            await setup.broadcaster.inbox.flush()
    await setup.broadcaster.inbox.flush()
    assert len(seen) == 50
    assert seen == sorted(set(seen))
    assert setup.broadcaster.last_sent == seen[-1]


async def test_the_history_before_joining_goes_up_to_what_was_sent_at_once(quick_setup: Setup) -> None:
    alice, _ = await quick_setup.member("alice")
    before = quick_setup.broadcaster.last_sent
    assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    assert quick_setup.broadcaster.last_sent > before


async def test_a_joiners_live_messages_begin_where_its_history_ends(setup: Setup) -> None:
    setup.recorder.held = trio.Event()
    newcomer, box = setup.client("newcomer")
    cursors: list[int] = []
    ids: dict[str, int] = {}

    class Ids:
        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            ids.update({message.text or message.sentence(): message.id for message in messages})

    setup.broadcaster.plugins.register("ids", Ids())

    async def join() -> None:
        cursors.append(await setup.broadcaster.inbox.join(newcomer))

    async with trio.open_nursery() as nursery:
        await setup.broadcaster.inbox.publish(Message("before", "alice"))
        await wait_all_tasks_blocked()
        await setup.broadcaster.inbox.publish(Message("in the same batch", "alice"))
        nursery.start_soon(join)
        await wait_all_tasks_blocked()
        await setup.broadcaster.inbox.publish(Message("later in the same batch", "alice"))
        setup.recorder.held.set()
    await setup.broadcaster.inbox.publish(Message("after", "alice"))
    await setup.broadcaster.inbox.flush()
    # Joins come last in a batch, so everything else in the batch is history for the joiner.
    assert setup.recorder.texts == [
        "before",
        "in the same batch",
        "later in the same batch",
        "newcomer joined",
        "after",
    ]
    assert box.lines == ["alice: after"]
    assert ids["later in the same batch"] < cursors[0] <= ids["newcomer joined"]


async def test_who_leaves_is_told_of_after_all_that_it_said(setup: Setup) -> None:
    _, box = await setup.member("alice")
    bob, _ = await setup.member("bob")
    await setup.broadcaster.inbox.publish(Message("goodbye", "bob"), bob)
    setup.broadcaster.leave(bob)
    setup.broadcaster.leave(bob)
    await setup.broadcaster.inbox.flush()
    assert box.lines == ["* bob joined", "bob: goodbye", "* bob left"]


async def test_leaving_never_waits_even_when_the_channel_is_full(setup: Setup) -> None:
    _, box = await setup.member("alice")
    bob, _ = await setup.member("bob")
    setup.recorder.held = trio.Event()
    await setup.broadcaster.inbox.publish(Message("first", "bob"))
    async with trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        for _ in range(CAPACITY):
            nursery.start_soon(setup.broadcaster.inbox.flush)
        await wait_all_tasks_blocked()
        setup.broadcaster.leave(bob)
        setup.recorder.held.set()
    assert box.lines[-1] == "* bob left"


async def test_who_ends_on_its_way_in_is_not_announced(setup: Setup) -> None:
    ghost, box = setup.client("ghost")
    ghost.end("gone")
    await setup.broadcaster.inbox.join(ghost)
    assert setup.recorder.texts == []
    assert box.lines == []
    assert not setup.hub.members("lobby")


async def test_who_ends_while_its_joining_is_logged_is_said_to_have_left(setup: Setup) -> None:
    setup.recorder.held = trio.Event()
    ghost, _ = setup.client("ghost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(setup.broadcaster.inbox.join, ghost)
        await wait_all_tasks_blocked()
        ghost.end("gone")
        setup.recorder.held.set()
    await setup.broadcaster.inbox.flush()
    assert setup.recorder.texts == ["ghost joined", "ghost left"]
    assert not setup.hub.members("lobby")


async def test_a_batch_that_cannot_be_logged_is_not_sent_and_its_senders_are_told_once(setup: Setup) -> None:
    alice, box = await setup.member("alice")
    _, other = await setup.member("bob")
    setup.recorder.failing = True
    await setup.broadcaster.inbox.publish(Message("one", "alice"), alice)
    await setup.broadcaster.inbox.publish(Message("two", "alice"), alice)
    await setup.broadcaster.inbox.flush()
    assert box.lines[-1] == "* 2 messages were not sent: the plugin 'recorder' failed"
    assert len(box.lines) == 2
    assert other.lines == []
    setup.recorder.failing = False
    await setup.broadcaster.inbox.publish(Message("three", "alice"), alice)
    await setup.broadcaster.inbox.flush()
    assert other.lines == ["alice: three"]


async def test_who_left_while_nothing_could_be_logged_is_told_of_later(setup: Setup) -> None:
    _, box = await setup.member("alice")
    bob, _ = await setup.member("bob")
    setup.recorder.failing = True
    setup.broadcaster.leave(bob)
    await setup.broadcaster.inbox.flush()
    setup.recorder.failing = False
    await setup.broadcaster.inbox.publish(Message("hello", "alice"))
    await setup.broadcaster.inbox.flush()
    assert box.lines == ["* bob joined", "alice: hello", "* bob left"]


async def test_nobody_joins_while_nothing_can_be_logged(setup: Setup) -> None:
    setup.recorder.failing = True
    with pytest.raises(RequiredPluginFailed):
        await setup.member("alice")
    assert not setup.hub.members("lobby")


async def test_saying_something_in_on_broadcast_never_waits_for_itself(setup: Setup) -> None:
    outcomes: list[str] = []

    class Chatterbox:
        @hookimpl
        async def on_broadcast(self, messages: Sequence[Message]) -> None:
            if messages[0].text == "start":
                for _ in range(CAPACITY):
                    await setup.broadcaster.inbox.publish(Message("more"))
                try:
                    await setup.broadcaster.inbox.publish(Message("too much"))
                except RuntimeError as error:
                    outcomes.append(str(error))

    setup.add("chatterbox", Chatterbox())
    await setup.broadcaster.inbox.publish(Message("start"))
    await setup.broadcaster.inbox.flush()
    await setup.broadcaster.inbox.flush()  # messages that were said during the first batch are in the second
    assert [text.partition(":")[0] for text in outcomes] == ["this would wait forever"]
    assert setup.recorder.texts == ["start", *["more"] * CAPACITY]


async def test_it_ends_when_it_is_closed_after_sending_what_is_there(virtual_time: object) -> None:
    setup = Setup()
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        _, box = await setup.member("alice")
        await setup.broadcaster.inbox.publish(Message("the last one", "alice"))
        setup.broadcaster.inbox.close()
    assert box.lines == ["alice: the last one"]


async def test_who_leaves_when_it_is_closed_is_told_of_last(virtual_time: object) -> None:
    setup = Setup()
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        _, box = await setup.member("alice")
        bob, _ = await setup.member("bob")
        setup.broadcaster.inbox.close()
        setup.broadcaster.leave(bob)
    assert box.lines[-1] == "* bob left"
    assert setup.recorder.texts[-1] == "bob left"


async def test_who_waits_for_a_fan_out_goes_on_at_its_end(setup: Setup) -> None:
    alice, box = await setup.member("alice")
    setup.recorder.held = trio.Event()
    async with trio.open_nursery() as nursery:
        setup.broadcaster.inbox.publish_nowait(Message("one", "alice"), alice)
        nursery.start_soon(setup.broadcaster.turns.end_of_round)
        await trio.testing.wait_all_tasks_blocked()
        assert "alice: one" not in box.lines
        assert len(nursery.child_tasks) == 1
        setup.recorder.held.set()
    assert box.lines[-1] == "alice: one"


ROUNDS = 3


@pytest.mark.parametrize("is_something_there", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_many_who_speak_at_the_same_time_are_gathered_in_whatever_order_they_run(
    seed: int, *, is_something_there: bool
) -> None:
    setup = Setup(QuickRecorder())

    class Clock:
        """Says something after each batch."""

        @hookimpl
        def on_broadcast(self) -> None:
            if len(setup.recorder.batches) < ROUNDS:
                setup.broadcaster.inbox.publish_nowait(Message("tick"))

    async def speak(connection: Connection) -> None:
        for number in range(ROUNDS):
            message = Message(connection.name, connection.name)
            assert not number or not setup.broadcaster.publish_at_once(message, connection)
            setup.broadcaster.inbox.publish_nowait(message, connection)
            await setup.broadcaster.turns.end_of_round()

    async def scenario() -> None:
        async with trio.open_nursery() as running:
            await running.start(setup.broadcaster.run)
            people = [(await setup.member(name))[0] for name in ("alice", "bob", "carol")]
            await wait_all_tasks_blocked()
            setup.recorder.batches.clear()
            if is_something_there:
                setup.add("clock", Clock())
            async with trio.open_nursery() as nursery:
                for connection in people:
                    nursery.start_soon(speak, connection)
            setup.broadcaster.inbox.close()

    with schedule(seed):
        run(scenario)
    gathered = [sorted({*batch} - {"tick"}) for batch in setup.recorder.batches]
    assert gathered == [["alice", "bob", "carol"]] * ROUNDS


async def test_after_a_round_who_speaks_alone_is_sent_at_once_again(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(quick_setup.broadcaster.turns.end_of_round)
        await wait_all_tasks_blocked()
        quick_setup.broadcaster.inbox.publish_nowait(Message("one", "alice"), alice)
    assert not quick_setup.broadcaster.publish_at_once(Message("two", "alice"), alice)
    quick_setup.broadcaster.inbox.publish_nowait(Message("two", "alice"), alice)
    await quick_setup.broadcaster.inbox.flush()
    await wait_all_tasks_blocked()
    assert quick_setup.broadcaster.publish_at_once(Message("three", "alice"), alice)
    assert box.lines[-1] == "alice: three"


async def test_who_alone_has_waited_for_a_round_is_sent_at_once_behind_it(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.broadcaster.inbox.publish_nowait(Message("one", "alice"), alice)
    await quick_setup.broadcaster.turns.end_of_round()
    await wait_all_tasks_blocked()
    assert quick_setup.broadcaster.publish_at_once(Message("two", "alice"), alice)
    assert box.lines[-1] == "alice: two"


async def test_so_many_messages_wait_and_no_more_whatever_else_does(setup: Setup) -> None:
    setup.recorder.held = trio.Event()
    publish = setup.broadcaster.inbox.publish_nowait
    async with trio.open_nursery() as nursery:
        publish(Message("first", "alice"))
        await wait_all_tasks_blocked()
        for number in range(CAPACITY):
            nursery.start_soon(setup.broadcaster.inbox.flush)
            publish(Message(str(number), "alice"))
        with pytest.raises(trio.WouldBlock):
            publish(Message("one too many", "alice"))
        setup.recorder.held.set()
    assert setup.recorder.texts == ["first", *map(str, range(CAPACITY))]


async def test_who_waits_for_room_is_heard_in_the_order_of_its_words(setup: Setup) -> None:
    setup.recorder.held = trio.Event()

    async def flood(name: str) -> None:
        for number in range(3 * CAPACITY):
            await setup.broadcaster.inbox.publish(Message(str(number), name))

    heard: dict[str, list[str]] = {"alice": [], "bob": []}

    class Heard:
        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            for message in messages:
                heard[message.sender].append(message.text)

    setup.add("heard", Heard())
    async with trio.open_nursery() as nursery:
        for name in heard:
            nursery.start_soon(flood, name)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        setup.recorder.held.set()
    await setup.broadcaster.inbox.flush()
    said = [str(number) for number in range(3 * CAPACITY)]
    assert heard == {"alice": said, "bob": said}
    assert max(map(len, setup.recorder.batches)) <= CAPACITY + len(heard)


async def test_nobody_says_anything_after_the_end(setup: Setup) -> None:
    setup.recorder.held = trio.Event()
    setup.broadcaster.inbox.publish_nowait(Message("first", "alice"))
    await wait_all_tasks_blocked()
    setup.broadcaster.inbox.publish_nowait(Message("the last one", "alice"))
    setup.broadcaster.inbox.close()
    with pytest.raises(trio.ClosedResourceError):
        await setup.broadcaster.inbox.publish(Message("too late", "alice"))
    setup.recorder.held.set()


async def test_who_speaks_alone_is_heard_at_once(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    assert (box.lines, quick_setup.recorder.texts[-1]) == (["alice: hello"], "hello")


async def test_what_has_to_wait_goes_on_in_the_broadcaster(quick_setup: Setup) -> None:
    waited_in: list[str] = []

    class Waiting:
        @hookimpl
        async def on_broadcast(self) -> None:
            waited_in.append(trio.lowlevel.current_task().name)
            await trio.sleep(1)

    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.add("waiting", Waiting())
    assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    assert not box.lines
    assert not quick_setup.broadcaster.publish_at_once(Message("and another", "alice"), alice)
    await quick_setup.broadcaster.inbox.flush()
    assert box.lines == ["alice: hello"]
    (task,) = waited_in
    assert task.endswith("LocalBroadcaster.run")


async def test_who_waited_for_what_was_begun_is_gathered_with_what_it_says_next(setup: Setup) -> None:
    alice, _ = await setup.member("alice")
    bob, _ = await setup.member("bob")
    await wait_all_tasks_blocked()
    setup.recorder.held = trio.Event()

    async def speak_twice() -> None:
        setup.broadcaster.inbox.publish_nowait(Message("two", "bob"), bob)
        await setup.broadcaster.turns.end_of_round()
        await setup.broadcaster.inbox.publish(Message("three", "bob"), bob)

    assert setup.broadcaster.publish_at_once(Message("one", "alice"), alice)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak_twice)
        await wait_all_tasks_blocked()
        setup.recorder.held.set()
    await setup.broadcaster.inbox.flush()
    assert setup.recorder.batches[-2:] == [["one"], ["two", "three"]]


async def test_a_call_that_was_begun_by_its_sender_has_a_deadline_as_well(quick_setup: Setup) -> None:
    class Hanging:
        @hookimpl
        async def on_broadcast(self) -> None:
            await trio.sleep_forever()

    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.add("hanging", Hanging())
    async with trio.open_nursery() as nursery:
        await nursery.start(quick_setup.broadcaster.plugins.deadlines.watch)
        before = trio.current_time()
        assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
        await quick_setup.broadcaster.inbox.flush()
        assert trio.current_time() - before == pytest.approx(5)
        nursery.cancel_scope.cancel()
    assert box.lines == ["alice: hello"]


async def test_what_a_plugin_says_to_a_message_comes_behind_it_wherever_it_is_sent(quick_setup: Setup) -> None:
    class Answering:
        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            if messages[-1].text == "hello":
                quick_setup.broadcaster.inbox.publish_nowait(Message("and to you", kind="notice"))

    class Waiting:
        @hookimpl(trylast=True)
        async def on_broadcast(self) -> None:
            await trio.lowlevel.checkpoint()

    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.add("answering", Answering())
    quick_setup.add("waiting", Waiting())
    assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    await quick_setup.broadcaster.inbox.flush()
    await quick_setup.broadcaster.inbox.flush()
    assert box.lines == ["alice: hello", "* and to you"]
    assert quick_setup.recorder.texts[-2:] == ["hello", "and to you"]


async def test_nobody_overtakes_what_is_on_its_way(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    await quick_setup.broadcaster.inbox.publish(Message("first", "alice"), alice)
    assert not quick_setup.broadcaster.publish_at_once(Message("second", "alice"), alice)
    await quick_setup.broadcaster.inbox.flush()
    assert box.lines == ["alice: first"]


async def test_who_left_while_nothing_could_be_logged_is_told_of_with_the_next_message(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    bob, _ = await quick_setup.member("bob")
    quick_setup.recorder.failing = True
    quick_setup.broadcaster.leave(bob)
    await quick_setup.broadcaster.inbox.flush()
    quick_setup.recorder.failing = False
    box.chunks.clear()
    assert not quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    await quick_setup.broadcaster.inbox.publish(Message("hello", "alice"), alice)
    await quick_setup.broadcaster.inbox.flush()
    assert box.lines == ["alice: hello", "* bob left"]


async def test_who_speak_alone_at_the_same_time_are_gathered(quick_setup: Setup, virtual_time: MockClock) -> None:
    class Working:
        @hookimpl
        def on_broadcast(self) -> None:
            virtual_time.jump(0.01)

    alice, _ = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.add("working", Working())
    say_at_once = quick_setup.broadcaster.publish_at_once
    assert say_at_once(Message("one", "alice"), alice)
    assert not say_at_once(Message("two", "alice"), alice)
    await trio.sleep(0.01)
    assert say_at_once(Message("three", "alice"), alice)


class Steps(trio.abc.Instrument):
    """Collects the results of `look` after each step of a task."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self.seen: set[int] = set()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.seen.add(self._look())


@pytest.mark.parametrize(
    ("size", "at_once"),
    [
        (5, MEMBERS_AT_ONCE),
        (BYTES_AT_ONCE // 100, 100),
        (BYTES_AT_ONCE // 2, 2),
        (BYTES_AT_ONCE, 1),
        (2 * BYTES_AT_ONCE, 1),
    ],
)
async def test_in_a_large_room_nobody_waits_for_all_of_it(quick_setup: Setup, size: int, at_once: int) -> None:
    boxes = [(await quick_setup.member(f"client-{number}"))[1] for number in range(MEMBERS_AT_ONCE + 1)]
    for box in boxes:
        box.chunks.clear()
    await wait_all_tasks_blocked()
    first = quick_setup.hub.members("lobby")[0].connections[0]
    message = Message("x" * size, "client-0")
    assert not quick_setup.broadcaster.publish_at_once(message, first)
    quick_setup.broadcaster.inbox.publish_nowait(message, first)
    steps = Steps(lambda: sum(len(box.chunks) for box in boxes))
    trio.lowlevel.add_instrument(steps)
    await quick_setup.broadcaster.inbox.flush()
    trio.lowlevel.remove_instrument(steps)
    assert sorted(steps.seen)[:3] == [0, at_once, min(2 * at_once, MEMBERS_AT_ONCE + 1)]
    assert [len(box.chunks) for box in boxes] == [1] * (MEMBERS_AT_ONCE + 1)


async def test_nobody_waits_for_all_rooms_of_a_batch(quick_setup: Setup) -> None:
    boxes: list[BoxOutbox] = []
    for room in ("dev", "ops", "web"):
        for number in range(MEMBERS_AT_ONCE // 2):
            client, box = quick_setup.client(f"{room}-{number}")
            quick_setup.hub.enter(client, room)
            boxes.append(box)
    for room in ("dev", "ops", "web"):
        quick_setup.broadcaster.inbox.publish_nowait(Message("hello", "alice", (room,)))
    steps = Steps(lambda: sum(len(box.chunks) for box in boxes))
    trio.lowlevel.add_instrument(steps)
    await quick_setup.broadcaster.inbox.flush()
    trio.lowlevel.remove_instrument(steps)
    assert sorted(steps.seen) == [0, MEMBERS_AT_ONCE, 3 * MEMBERS_AT_ONCE // 2]


async def test_nobody_waits_for_a_long_line_that_is_said_alone(quick_setup: Setup) -> None:
    alice, _ = await quick_setup.member("alice")
    await quick_setup.member("bob")
    await wait_all_tasks_blocked()
    say_at_once = quick_setup.broadcaster.publish_at_once
    assert not say_at_once(Message("x" * (LONGEST_AT_ONCE + 1), "alice"), alice)
    assert say_at_once(Message("x" * LONGEST_AT_ONCE, "alice"), alice)


async def test_who_speaks_alone_is_told_if_it_cannot_be_logged(quick_setup: Setup) -> None:
    alice, box = await quick_setup.member("alice")
    await wait_all_tasks_blocked()
    quick_setup.recorder.failing = True
    assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
    assert box.lines == ["* not sent: the plugin 'recorder' failed"]


async def test_a_broadcast_that_was_begun_is_told_to_every_plugin_though_it_is_cancelled(virtual_time: object) -> None:
    told: list[str] = []

    class Waiting:
        def __init__(self, name: str) -> None:
            self._name = name

        @hookimpl
        async def on_broadcast(self) -> None:
            told.append(self._name)
            await trio.sleep(1)

    setup = Setup(QuickRecorder())
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        alice, box = await setup.member("alice")
        await wait_all_tasks_blocked()
        setup.add("one", Waiting("one"))
        setup.add("two", Waiting("two"))
        assert setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
        nursery.cancel_scope.cancel()
    assert sorted(told) == ["one", "two"]
    assert not box.lines


async def test_nobody_speaks_at_once_after_the_end(virtual_time: object) -> None:
    setup = Setup(QuickRecorder())
    async with trio.open_nursery() as nursery:
        await nursery.start(setup.broadcaster.run)
        alice, _ = await setup.member("alice")
        setup.broadcaster.inbox.close()
    assert not setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)


async def test_where_a_broadcast_that_was_begun_waits_can_be_seen(
    quick_setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging:
        @hookimpl
        async def on_broadcast(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(20)

    alice, _ = await quick_setup.member("alice")
    await trio.testing.wait_all_tasks_blocked()
    quick_setup.add("hanging", Hanging())
    async with trio.open_nursery() as nursery:
        await nursery.start(quick_setup.broadcaster.plugins.deadlines.watch)
        assert quick_setup.broadcaster.publish_at_once(Message("hello", "alice"), alice)
        await trio.sleep(1)
        assert "trio.sleep(20)" in task_tree()
        await quick_setup.broadcaster.inbox.flush()
        nursery.cancel_scope.cancel()
    (line,) = [line for line in caplog.messages if "keeps running although" in line]
    assert "trio.sleep(20)" in line
