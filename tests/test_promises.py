"""The promises of the server, each under conditions that could break it. tests/ops/test_process.py tests a process."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from order_kit import ORDERS
from trio.testing import lockstep_stream_pair

from trichat import Client, Handled, Message, Refuse, Server, hookimpl
from trichat._chat.core import Core
from trichat.testing import Chat, Person, running
from trichat.testing._chat.memory_transport import KERNEL_BUFFER


@pytest.fixture(params=ORDERS, autouse=True)
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers have an order of each kind."""
    monkeypatch.setattr(Core, "order_class", ORDERS[request.param])


def said_in(lines: Iterable[str]) -> list[str]:
    """Return the lines that people said, from the lines that somebody saw, without dates, notices and events."""
    texts = (line.partition("] ")[2] if line.startswith("[") else line for line in lines)
    return [text for text in texts if not text.startswith("*")]


# 1. One order


async def test_all_members_see_one_order_and_the_log_has_it(chat: Chat) -> None:
    people = [await chat.join(f"user{number}") for number in range(5)]
    async with trio.open_nursery() as nursery:
        for person in people:
            nursery.start_soon(talk, person, 40)
    seen = [said_in(await person.unheard()) for person in people]
    assert len(seen[0]) == 5 * 40
    assert all(lines == seen[0] for lines in seen)
    assert said_in(chat.log) == seen[0]


async def talk(person: Person, lines: int) -> None:
    pauses = random.Random(person.name)  # the same in each run
    for number in range(lines):
        await person.say(f"line {number}")
        await trio.sleep(pauses.random())


async def test_each_senders_lines_keep_their_order(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await bob.say(*(f"b{number}" for number in range(1500)))  # more than the channel holds
    await alice.say(*(f"a{number}" for number in range(1500)))
    seen = said_in(await alice.unheard())
    for name in ("alice", "bob"):
        theirs = [line for line in seen if line.startswith(name)]
        assert theirs == [f"{name}: {name[0]}{number}" for number in range(1500)]


# 2. Log first


async def test_what_anyone_sees_is_in_the_log_before(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, alice, 50)
        for _ in range(50):
            line = await bob.next_line(patience=60)
            assert line in chat.log


# 3. No gaps, no duplicates


@pytest.mark.parametrize("replay", [1000, "all"])
async def test_a_joiner_misses_nothing_and_sees_nothing_twice(
    tmp_path: Path, virtual_time: object, replay: object
) -> None:
    earlier = [f"2026-01-01T00:00:00.{number:06d}Z lobby old: {number}\n" for number in range(3000)]
    (tmp_path / "chat_log.txt").write_text("".join(earlier))
    async with running(config={"plugins": {"chat_log": {"replay": replay}}}, folder=tmp_path) as chat:
        talkers = [await chat.join(f"talker{number}") for number in range(2)]
        joiners: list[Person] = []
        for round_ in range(20):
            for talker in talkers:
                await talker.say(*(f"{round_}.{line}" for line in range(10)))
            joiners.append(await chat.connect())
            await joiners[-1].say(f"joiner{round_}", "I am in")
        seen_by = [await joiner.hears_up_to("* welcome, ") for joiner in joiners]
        await talkers[0].say("done")
        seen_by = [
            said_in(seen + await joiner.hears_up_to("talker0: done"))
            for seen, joiner in zip(seen_by, joiners, strict=True)
        ]
        logged = said_in(chat.log)
        assert len(logged) == 3000 + 2 * 20 * 10 + 20 + 1
        for seen in seen_by:
            assert seen == logged[-len(seen) :]
            assert len(seen) == len(logged) if replay == "all" else len(seen) > 900


# 4. Nobody waits for the slowest


@pytest.mark.chat(config={"server": {"backlog_bytes": 4096}})
async def test_a_client_that_does_not_read_is_cut_off_and_delays_nobody(chat: Chat) -> None:
    alice, sloth = await chat.join("alice"), await chat.join("sloth")
    await alice.hears("* sloth joined")
    sloth.stop_reading()
    line = "alice: " + "x" * 1000
    before = trio.current_time()
    # The lines that the kernel keeps, the one that is half sent, four in the backlog, and one too many.
    for _ in range(KERNEL_BUFFER // len(line) + 6):
        assert len(chat.server.members()) == 2
        await alice.say("x" * 1000)
        await alice.hears(line)
        await chat.settled()
    assert trio.current_time() == before
    await alice.hears("* sloth left")
    *_, last = await sloth.rest()
    assert last == "* disconnected: too slow: more than 4096 bytes were waiting"


@pytest.mark.chat(config={"server": {"backlog_bytes": 4096}})
async def test_a_client_over_a_stream_that_takes_nothing_is_cut_off_and_delays_nobody(chat: Chat) -> None:
    alice = await chat.join("alice")
    sloth, theirs = lockstep_stream_pair()  # this stream takes only data that is being read
    chat.server.attach(theirs, "127.0.0.1")
    await sloth.send_all(b"sloth\n")
    heard = b""
    while b"* welcome, sloth" not in heard:
        heard += await sloth.receive_some()
    await alice.hears("* sloth joined")
    before = trio.current_time()
    for _ in range(6):
        await alice.say("x" * 1000)
        await alice.hears("alice: " + "x" * 1000)
    assert trio.current_time() == before
    await alice.hears("* sloth left")
    async for data in sloth:
        heard += data
    assert heard.endswith(b"\n* disconnected: too slow: more than 4096 bytes were waiting\n")


# 5. Every connect has its disconnect


class Witness:
    """Records when clients connect and disconnect."""

    def __init__(self) -> None:
        self.connected: Counter[Client] = Counter()
        self.disconnected: Counter[Client] = Counter()
        self.reasons: list[str] = []

    @hookimpl(tryfirst=True)
    def on_connect(self, client: Client) -> None:
        self.connected[client] += 1

    @hookimpl
    async def on_disconnect(self, client: Client, reason: str) -> None:
        self.disconnected[client] += 1
        self.reasons.append(reason)
        await trio.sleep(0.1)  # the end of the client does not cancel this

    def is_balanced(self, clients: int = 1) -> bool:
        once = all(count == 1 for count in [*self.connected.values(), *self.disconnected.values()])
        return once and self.connected.keys() == self.disconnected.keys() and len(self.connected) == clients


class Kicker:
    """Kicks a client that says `kick me`."""

    @hookimpl
    def on_message(self, client: Client, message: Message) -> Handled | None:
        if message.text == "kick me":
            client.kick("as you wish")
            return Handled()
        return None


async def says_bye(person: Person) -> None:
    await person.say("bye")


async def is_kicked(person: Person) -> None:
    await person.say("kick me")


async def stops_the_server(person: Person) -> None:
    await person.say("stop")


async def says_no_more(person: Person) -> None:
    person.send_eof()


async def hangs_up(person: Person) -> None:
    person.hang_up()


async def breaks_off(person: Person) -> None:
    person.reset()


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (says_bye, "goodbye, alice"),
        (is_kicked, "as you wish"),
        (stops_the_server, "the server is stopping (stopped by alice)"),
        (says_no_more, "closed the connection"),
        (hangs_up, "closed the connection"),
        (breaks_off, "connection lost: Connection reset by peer"),
    ],
)
async def test_on_disconnect_runs_exactly_once_however_a_client_ends(
    virtual_time: object, act: Callable[[Person], Awaitable[None]], reason: str
) -> None:
    witness = Witness()
    async with running([witness, Kicker]) as chat:
        await act(await chat.join("alice"))
        await trio.sleep(5)
        assert witness.is_balanced()
        assert witness.reasons == [reason]
        assert not chat.server.members()


async def test_on_disconnect_runs_for_who_gives_no_name_in_time(virtual_time: object) -> None:
    witness = Witness()
    async with running([witness]) as chat:
        await chat.connect()
        await trio.sleep(40)
        assert witness.is_balanced()
        assert witness.reasons == ["no name in time"]


async def test_on_disconnect_runs_for_who_is_refused(virtual_time: object) -> None:
    witness = Witness()
    async with running([witness], {"plugins": {"blacklist": {"addresses": ["10.0.0.7"]}}}) as chat:
        person = chat.connect_silently("10.0.0.7")
        assert await person.rest() == ["* refused: 10.0.0.7 is on the blacklist"]
        await trio.sleep(5)
        assert witness.is_balanced()


@pytest.mark.parametrize("joined", [False, True])
async def test_on_disconnect_runs_when_the_server_is_cancelled(
    tmp_path: Path, virtual_time: object, joined: bool
) -> None:
    witness = Witness()
    with trio.CancelScope() as scope:
        async with running([witness], folder=tmp_path) as chat:
            person = await (chat.join("alice") if joined else chat.connect())
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert witness.is_balanced()
    assert await person.rest() == ["* the server is stopping"]
    assert chat.log == (["* alice joined", "*quit alice"] if joined else [])


# 6. Every task has an owner


async def test_when_the_server_has_stopped_nothing_of_it_is_left(virtual_time: object) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with running() as chat:
        people = [await chat.join(f"user{number}") for number in range(3)]
        await people[0].say("hello", "stop")
        people[1].hang_up()
        await people[2].rest()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


# 7. Bounded memory


class Stuck:
    """Blocks the broadcaster until `let_go` is set."""

    def __init__(self) -> None:
        self.let_go = trio.Event()

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        if any(message.kind == "said" for message in messages):
            await self.let_go.wait()


async def test_who_says_more_than_the_server_can_take_has_to_wait(virtual_time: object) -> None:
    stuck = Stuck()
    async with running([stuck]) as chat:
        flood = await chat.join("flood")
        taken = 0
        with trio.move_on_after(1):
            while taken < 100_000:
                await flood.say(*["x" * 1000] * 50)
                taken += 50
        assert 1000 <= taken < 2000
        stuck.let_go.set()


# 8. A plugin cannot take the server down


class Unspeakable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Bad:
    """Raises, or hangs, in one hook."""

    def __init__(self, hook: str, *, hangs: bool, error: type[Exception] = ZeroDivisionError) -> None:
        self._hook = hook
        self._hangs = hangs
        self._error = error

    async def _fail(self, hook: str) -> None:
        if hook == self._hook:
            if self._hangs:
                await trio.sleep_forever()
            raise self._error("on purpose")

    @hookimpl
    async def on_connect(self, client: Client) -> Refuse | None:
        await self._fail("on_connect")
        return None

    @hookimpl
    async def on_join(self, client: Client) -> Refuse | None:
        await self._fail("on_join")
        return None

    @hookimpl
    async def on_message(self, message: Message) -> None:
        await self._fail("on_message")

    @hookimpl
    async def on_broadcast(self) -> None:
        await self._fail("on_broadcast")

    @hookimpl
    async def on_disconnect(self, client: Client) -> None:
        await self._fail("on_disconnect")

    @hookimpl(tryfirst=True)
    async def history(self, room: str) -> None:
        await self._fail("history")


@pytest.mark.parametrize(
    ("hangs", "error"),
    [(False, ZeroDivisionError), (True, ZeroDivisionError), (False, Unspeakable)],
    ids=["raises", "hangs", "raises something without a text"],
)
@pytest.mark.parametrize(
    ("hook", "heard"),
    [
        ("on_connect", "* refused: the plugin 'bad' failed"),
        ("on_join", "* the plugin 'bad' failed; try another name"),
        ("on_message", "* not sent: the plugin 'bad' failed"),
        ("on_broadcast", "alice: hello"),
        ("on_disconnect", "alice: hello"),
        ("history", "* the history cannot be shown: the plugin 'bad' failed"),
    ],
)
async def test_a_plugin_that_fails_is_named_and_the_server_goes_on(
    virtual_time: object, caplog: pytest.LogCaptureFixture, hook: str, heard: str, hangs: bool, error: type[Exception]
) -> None:
    # No chat log: the server would ask it for the history first.
    async with running([Bad(hook, hangs=hangs, error=error)], {"plugins": {"chat_log": {"enabled": False}}}) as chat:
        for _ in range(2):
            alice = chat.connect_silently()
            await alice.say("alice", "hello", "bye")
            assert heard in await alice.rest(patience=60)
        assert f"plugin 'bad' failed in {hook}" in caplog.text


class Fragile:
    """Has a background task that raises `error` on request, and a hook with a task that does."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.crash = trio.Event()
        self.told: list[str] = []

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._work)
            yield
            nursery.cancel_scope.cancel()

    async def _work(self) -> None:
        await self.crash.wait()
        raise self._error

    @hookimpl
    async def on_message(self, message: Message) -> None:
        if message.text == "fail in a nursery":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._work)
                self.crash.set()

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.told += [message.sentence() for message in messages]


@pytest.mark.parametrize("error", [ZeroDivisionError("on purpose"), SystemExit(1)], ids=["raises", "exits"])
async def test_a_background_task_that_crashes_takes_down_only_its_plugin(
    virtual_time: object, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    fragile = Fragile(error)
    async with running([fragile]) as chat:
        alice = await chat.join("alice", address="10.0.0.7")  # not an operator
        fragile.crash.set()
        await chat.settled()
        assert "plugin 'fragile': it crashed" in caplog.text
        await alice.say("still here?")
        await alice.hears("* not sent: the plugin 'fragile' failed")  # a question to a crashed plugin counts as refused
        await alice.say("bye")
        assert await alice.rest() == ["* goodbye, alice"]
        assert fragile.told == ["alice joined"]


@pytest.mark.parametrize("error", [ZeroDivisionError("on purpose"), SystemExit(1)], ids=["raises", "exits"])
async def test_a_hook_whose_task_crashes_has_failed_and_the_server_goes_on(
    virtual_time: object, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async with running([Fragile(error)]) as chat:
        alice = await chat.join("alice", address="10.0.0.7")  # not an operator
        bob = await chat.join("bob", address="10.0.0.8")
        await alice.hears("* bob joined")
        await alice.say("fail in a nursery")
        await alice.hears("* not sent: the plugin 'fragile' failed")
        assert "plugin 'fragile' failed in on_message" in caplog.text
        await bob.hears_nothing()


class Untidy:
    """Fails in its cleanup after a cancellation."""

    @hookimpl
    async def on_message(self, message: Message) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._work)
            await trio.sleep_forever()

    async def _work(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError("in the cleanup")


async def test_a_plugin_that_fails_while_it_is_cancelled_is_named_all_the_same(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with running([Untidy]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        chat.server.stop()
        assert await alice.rest() == ["* the server is stopping"]
    assert "plugin 'untidy' failed in on_message" in caplog.text
    assert "an error in the server" not in caplog.text


@pytest.mark.parametrize("hook", ["on_reload", "lifespan", "on_broadcast"])
async def test_an_error_without_a_text_is_a_failure_of_its_plugin_everywhere(virtual_time: object, hook: str) -> None:
    class Speechless:
        fails = False

        @hookimpl
        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            yield
            if hook == "lifespan":
                raise Unspeakable

        @hookimpl
        def on_reload(self) -> None:
            if hook == "on_reload":
                raise Unspeakable

        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            if hook == "on_broadcast" and len(messages) > 1:
                raise Unspeakable

    async with running([Speechless]) as chat:
        alice = await chat.join("alice")
        await chat.server.reload()
        await alice.say("one", "two")
        await alice.hears("alice: one", "alice: two")
