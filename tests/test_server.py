"""The server as a whole, from the view of a program that embeds it."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, timedelta
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from trichat import (
    Client,
    Command,
    Config,
    ConnectionLost,
    Listener,
    Message,
    PluginError,
    Server,
    ServerOptions,
    StartError,
    Transport,
    hookimpl,
    operators,
    parse_log_line,
)
from trichat._base.task_tree import task_tree
from trichat._chat.inbox import CAPACITY
from trichat._net.listener import Accept, Address
from trichat.testing import Chat, running

AROUND = ContextVar("around", default="in another context")

LOCAL = Config(server=ServerOptions(host="127.0.0.1", port=0))


async def test_it_reports_where_it_listens_and_serves_until_it_is_stopped() -> None:
    server = Server(LOCAL, plugins={})
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(server.serve)
            with socket.create_connection(address) as peer:
                peer.settimeout(10)
                assert await trio.to_thread.run_sync(peer.recv, 100) == (
                    b"* welcome to trichat; type your name and press Enter\n"
                )
                server.stop("for a test")
                assert await trio.to_thread.run_sync(peer.recv, 100) == b"* the server is stopping (for a test)\n"


async def test_two_servers_live_side_by_side_in_one_process(virtual_time: object) -> None:
    async with running() as one, running() as two:
        alice, bob = await one.join("alice"), await two.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
        await bob.hears_nothing()


async def test_a_server_that_cannot_listen_says_so_in_one_exception_and_leaves_its_plugins() -> None:
    events: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(server=ServerOptions(host="127.0.0.1", port=taken.getsockname()[1]))
        with pytest.raises(StartError, match="Address already in use"):
            await Server(config, plugins={"living": Living(events)}).serve()
    assert events == ["entered", "left"]


class Living:
    """Records its lifespan."""

    def __init__(self, events: list[str], name: str = "") -> None:
        self._events = events
        self._name = f"{name} " if name else ""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self._events.append(f"{self._name}entered")
        yield
        self._events.append(f"{self._name}left")


class Slow:
    """Takes a minute to start, and stops the server after a second of that."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        server.start_soon(self._have_it_stopped, server)
        try:
            await trio.sleep(60)
            self._events.append("slow entered")
        finally:
            self._events.append("slow broken off")
        yield

    async def _have_it_stopped(self, server: Server) -> None:
        await trio.sleep(1)
        server.stop("enough")

    @hookimpl
    def commands(self) -> list[Command]:
        raise AssertionError("it is not there")


SLOW = Config(server=ServerOptions(host="127.0.0.1", port=0, hook_timeout=60))


async def test_a_stop_while_it_starts_leaves_the_plugins_that_were_entered_and_nothing_was_open(
    virtual_time: object,
) -> None:
    events: list[str] = []
    plugins = {"one": Living(events, "one"), "two": Living(events, "two"), "slow": Slow(events), "late": Living(events)}
    async with trio.open_nursery() as nursery:
        assert await nursery.start(Server(SLOW, plugins=plugins).serve) == []
    assert events == ["one entered", "two entered", "slow broken off", "two left", "one left"]
    assert trio.current_time() < 5


async def test_a_stop_before_it_starts_enters_no_plugin() -> None:
    events: list[str] = []
    server = Server(LOCAL, plugins={"living": Living(events)})
    server.stop()
    await server.serve()
    assert events == []


class Unready(Listener):
    """A listener that never gets ready, because it is still looking up its host's name."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.sleep_forever()


async def test_a_stop_while_the_listeners_start_does_not_wait_for_them(virtual_time: object) -> None:
    server = Server(LOCAL, plugins={}, listeners=[Unready()])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve)
        await trio.sleep(1)
        server.stop()
    assert trio.current_time() < 5


async def test_a_plugin_that_refuses_the_start_is_named_in_one_exception() -> None:
    class Refusing:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            raise OSError(13, "Permission denied", "/secret")
            yield

    with pytest.raises(StartError, match=r"plugin 'refusing' cannot start: /secret: Permission denied"):
        await Server(LOCAL, plugins={"refusing": Refusing()}).serve()


async def test_two_plugins_with_the_same_command_are_refused() -> None:
    class Dice:
        @hookimpl
        def commands(self) -> list[Command]:
            return [Command("roll", "roll dice", lambda client, arguments: None)]

    with pytest.raises(PluginError, match="plugins 'one' and 'two' both have the command /roll"):
        await Server(LOCAL, plugins={"one": Dice(), "two": Dice()}).serve()


def test_a_plugin_that_is_made_wrong_is_refused_before_the_start() -> None:
    class Misspelled:
        @hookimpl
        def on_mesage(self) -> None:
            pass

    with pytest.raises(PluginError, match=r"plugin 'misspelled' .*unknown hook 'on_mesage'"):
        Server(LOCAL, plugins={"misspelled": Misspelled()})


async def test_what_the_server_says_is_in_the_one_order_and_in_the_log(chat: Chat) -> None:
    alice = await chat.join("alice")
    await chat.server.say("lobby", "the build\npassed")
    await alice.hears("* the build", "* passed")
    assert chat.log == ["* alice joined", "*notice : the build\\npassed"]


async def test_saying_something_after_the_end_does_nothing(virtual_time: object) -> None:
    async with running() as chat:
        pass
    assert await chat.server.say("lobby", "too late") == 0
    assert await chat.server.publish_control("too late") == 0


class Listening:
    """Keeps what it is told, and does something when it is told `now`."""

    def __init__(self, act: Callable[[Server], Awaitable[object]] | None = None) -> None:
        self.told: list[Message] = []
        self.server: Server
        self.errors: list[str] = []
        self._act = act

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self.server = server
        yield

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.told += messages
        if self._act is not None and messages[-1].text == "now":
            try:
                await self._act(self.server)
            except* RuntimeError as errors:
                self.errors += map(str, errors.exceptions)


async def test_whoever_says_something_learns_which_message_it_is(virtual_time: object) -> None:
    listening = Listening()
    async with running([listening]) as chat:
        alice = await chat.join("alice")
        id = await chat.server.say("lobby", "back at noon")
        assert listening.told[-1] == Message("back at noon", kind="notice", id=id)
        await alice.hears("* back at noon")


async def test_a_bot_speaks_under_a_name_of_its_own(chat: Chat) -> None:
    alice = await chat.join("alice")
    await chat.server.say("lobby", "build 7 is green", "ci")
    chat.server.say_nowait("lobby", "I am no person", sender="alice")
    await alice.hears("* [ci] build 7 is green", "* [alice] I am no person")
    assert chat.log[-2:] == ["*noticed ci: build 7 is green", "*noticed alice: I am no person"]
    with pytest.raises(ValueError, match=r"^'a:b' cannot be the name of a bot: a name cannot contain ':'$"):
        await chat.server.say("lobby", "hello", "a:b")


async def test_what_programs_are_told_is_in_the_order_and_in_the_log_and_nobody_sees_it(virtual_time: object) -> None:
    listening = Listening()
    async with running([listening]) as chat:
        alice = await chat.join("alice")
        id = await chat.server.publish_control('{"ban": "mallory"}')
        assert listening.told[-1] == Message('{"ban": "mallory"}', rooms=(), kind="control", id=id)
        assert chat.log_path is not None
        last = chat.log_path.read_bytes().splitlines()[-1]
        assert parse_log_line(last) == listening.told[-1]
        await alice.hears_nothing()
        bob = await chat.join("bob")
        assert not [line for line in bob.heard if "mallory" in line]


async def say_in_a_child(server: Server) -> None:
    async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - it is about a task of its own
        nursery.start_soon(server.say, "lobby", "hello")


async def say_itself(server: Server) -> None:
    await server.say("lobby", "hello")


@pytest.mark.parametrize("act", [say_itself, say_in_a_child, lambda server: server.publish_control("hello")])
async def test_waiting_for_what_comes_after_on_broadcast_is_refused(
    virtual_time: object, act: Callable[[Server], Awaitable[object]]
) -> None:
    listening = Listening(act)
    async with running([listening]) as chat:
        alice = await chat.join("alice")
        await chat.settled()
        await alice.say("now")
        await alice.hears("alice: now")
        assert [error.partition(":")[0] for error in listening.errors] == ["this would wait forever"]


async def test_a_lifespan_that_the_start_waits_for_cannot_wait_to_be_heard(virtual_time: object) -> None:
    class Hasty:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            await server.say("lobby", "hello")
            yield

    with pytest.raises(StartError, match="this would wait forever: nothing is sent before the server has started"):
        async with running([Hasty]):
            pass


async def test_a_plugin_may_say_something_in_a_task_of_its_own_before_the_start(virtual_time: object) -> None:
    ids: list[int] = []

    class Early:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            async def say() -> None:
                ids.append(await server.say("lobby", "hello"))

            server.start_soon(say)
            await trio.lowlevel.checkpoint()
            yield

    async with running([Early]) as chat:
        await chat.settled()
        assert ids > [0]
        assert chat.log == ["* hello"]


async def test_nobody_waits_for_a_server_that_could_not_start(virtual_time: object) -> None:
    class Failing:
        @hookimpl
        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            await trio.sleep(1)
            raise OSError("no")
            yield

    server = Server(LOCAL, plugins={"failing": Failing()})
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(StartError):
                await server.serve()

        await wait_all_tasks_blocked()
        assert await server.say("lobby", "is anybody there?") == 0


async def test_the_clock_of_the_server_dates_messages_and_follows_virtual_time(virtual_time: object) -> None:
    listening = Listening()
    async with running([listening]) as chat:
        before = chat.server.now()
        await trio.sleep(3600)
        assert chat.server.now() - before == timedelta(hours=1)
        await chat.server.say("lobby", "an hour later")
        assert listening.told[-1].time - chat.server.now() < timedelta(milliseconds=1)
        assert before.tzinfo is UTC


async def test_who_is_attached_over_a_stream_is_served_as_if_it_had_connected(chat: Chat) -> None:
    alice = await chat.join("alice")
    stream, theirs = memory_stream_pair()
    chat.server.attach(theirs, "10.0.0.7")
    await stream.send_all(b"bob\n/who\nhello\n")
    await alice.hears("* bob joined", "bob: hello")
    assert [client.address for client in chat.server.clients] == ["127.0.0.1", "10.0.0.7"]
    await stream.send_all(b"bye\n")
    heard = b"".join([data async for data in stream]).decode().splitlines()
    assert heard[0] == "* welcome to trichat; type your name and press Enter"
    assert heard[-3:] == ["* here: alice, bob", "bob: hello", "* goodbye, bob"]
    await alice.hears("* bob left")


async def test_who_is_attached_by_a_plugin_is_no_part_of_it(virtual_time: object) -> None:
    found: list[str] = []

    class Door:
        """Attaches a client when `knocked` is set."""

        def __init__(self) -> None:
            self.knocked = trio.Event()
            self.outside, self.inside = memory_stream_pair()

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            AROUND.set("in that of the plugin")
            server.start_soon(self._let_in, server)
            yield

        async def _let_in(self, server: Server) -> None:
            await self.knocked.wait()
            server.attach(self.inside, "10.0.0.7")

    class Misled:
        """Starts a task where that is not allowed."""

        @hookimpl
        def on_message(self, client: Client) -> None:
            found.append(AROUND.get())
            with pytest.raises(RuntimeError, match="must be called from a plugin's lifespan"):
                client.server.start_soon(trio.sleep_forever)
            found.append("and in no lifespan")

    AROUND.set("in that of whoever serves")
    door = Door()
    async with running({"door": door, "misled": Misled()}) as chat:
        alice = await chat.join("alice")
        door.knocked.set()
        await door.outside.send_all(b"bob\nhello\n")
        await alice.hears("* bob joined", "bob: hello")
    assert found == ["in that of whoever serves", "and in no lifespan"]


async def test_nobody_can_be_attached_to_a_server_that_does_not_run() -> None:
    stream, _ = memory_stream_pair()
    with pytest.raises(RuntimeError, match="the server is not running"):
        Server(LOCAL, plugins={}).attach(stream, "127.0.0.1")


async def test_the_members_of_a_room_are_in_the_order_of_joining(chat: Chat) -> None:
    for name in ("carol", "alice", "bob"):
        await chat.join(name)
    assert [client.name for client in chat.server.members()] == ["carol", "alice", "bob"]


async def test_the_clients_are_all_who_are_connected_and_stay(chat: Chat) -> None:
    await chat.join("carol")
    guest = await chat.connect("10.0.0.7")
    alice = await chat.join("alice")
    assert [(client.name, client.address) for client in chat.server.clients] == [
        ("carol", "127.0.0.1"),
        ("", "10.0.0.7"),
        ("alice", "127.0.0.1"),
    ]
    guest.hang_up()
    await alice.say("bye")
    await chat.settled()
    assert [client.name for client in chat.server.clients] == ["carol"]


async def test_who_is_on_the_way_out_is_no_client_any_more(chat: Chat) -> None:
    await chat.join("alice")
    [client] = chat.server.clients
    client.kick("enough")
    assert chat.server.clients == []


async def test_the_rooms_are_those_that_somebody_is_in(chat: Chat) -> None:
    assert chat.server.rooms == []
    alice = await chat.join("alice")
    assert chat.server.rooms == ["lobby"]
    alice.hang_up()
    await chat.settled()
    assert chat.server.rooms == []


async def test_a_notice_reaches_who_is_there_and_is_not_in_the_log(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob", "10.0.0.7")
    await alice.hears("* bob joined")
    guest = await chat.connect()
    chat.server.notice("a restart\nin an hour")
    await alice.hears("* a restart", "* in an hour")
    await bob.hears("* a restart", "* in an hour")
    await guest.hears_nothing()
    assert chat.log == ["* alice joined", "* bob joined"]


async def test_a_notice_may_be_for_operators_alone(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob", "10.0.0.7")
    await alice.hears("* bob joined")
    chat.server.notice("the disk is nearly full", who=operators)
    await alice.hears("* the disk is nearly full")
    await bob.hears_nothing()


async def test_who_has_no_ip_address_is_not_an_operator_and_counts_against_no_ip_address(virtual_time: object) -> None:
    everywhere = {"operators": ["0.0.0.0/0", "::/0"], "max_clients_per_address": 1}
    async with running(config={"server": everywhere}) as chat:
        await chat.join("alice")
        await chat.join("bob", "unix:0")
        assert [client.is_operator for client in chat.server.clients] == [True, False]
        assert await chat.connect_silently("unix:0").rest() == ["* refused: too many connections from unix:0 (1)"]
        await chat.join("carol", "unix:1000")


async def test_a_notice_may_be_for_one_room(chat: Chat) -> None:
    alice = await chat.join("alice")
    chat.server.notice("to the lobby", room="lobby")
    chat.server.notice("to others", room="elsewhere")
    await alice.hears("* to the lobby")
    await alice.hears_nothing()


class Echo:
    """Answers each `!ping` from within `on_broadcast`, `times` times."""

    def __init__(self, times: int = 1) -> None:
        self._times = times
        self.refused = 0
        self._server: Server

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        self._server = server
        yield

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.text == "!ping":
                for number in range(self._times):
                    try:
                        self._server.say_nowait(message.room, f"pong {number}")
                    except trio.WouldBlock:
                        self.refused += 1


@pytest.mark.chat(plugins=[Echo()])
async def test_who_cannot_wait_says_it_now_and_it_comes_behind_what_it_answers(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.say("!ping", "thanks")
    await alice.hears("alice: !ping", "alice: thanks", "* pong 0")
    assert chat.log[-3:] == ["alice: !ping", "alice: thanks", "* pong 0"]


async def test_a_flood_of_answers_is_refused_and_holds_up_nobody(virtual_time: object) -> None:
    echo = Echo(2000)
    async with running([echo]) as chat:
        alice = await chat.join("alice")
        await alice.say("!ping")
        await alice.hears("alice: !ping")
        taken = 2000 - echo.refused
        # The broadcaster may take one more itself, if it is waiting.
        assert CAPACITY <= taken <= CAPACITY + 1
        await alice.hears(*(f"* pong {number}" for number in range(taken)))
        await alice.say("thanks")
        await alice.hears("alice: thanks")


async def test_saying_something_at_once_after_the_end_does_nothing(virtual_time: object) -> None:
    async with running() as chat:
        pass
    chat.server.say_nowait("lobby", "too late")


@pytest.mark.parametrize("option", ["max_clients", "max_clients_per_address"])
async def test_there_is_room_for_as_many_as_configured(virtual_time: object, option: str) -> None:
    async with running(config={"server": {option: 2}}) as chat:
        first = await chat.connect()
        await chat.connect()
        refused = await chat.connect_silently().rest()
        assert refused == [
            "* refused: the server is full (2 clients)"
            if option == "max_clients"
            else "* refused: too many connections from 127.0.0.1 (2)"
        ]
        first.hang_up()
        await chat.settled()
        await chat.connect()


async def test_each_task_of_it_says_whom_or_what_it_serves(chat: Chat) -> None:
    await chat.connect("10.0.0.7")
    await chat.join("alice", "10.0.0.8")
    names = sorted(line.split("  at ")[0].strip() for line in task_tree().splitlines())
    ours = [name for name in names if name.startswith(("broadcaster", "client", "plugin"))]
    plugins = ["plugin chat_log", "plugin json_lines", "plugin topic", "plugins"]
    assert ours == ["broadcaster", "client 10.0.0.7", "client alice", *plugins]


async def test_a_stop_ends_within_its_time_whatever_a_plugin_does(virtual_time: object) -> None:
    class Stubborn:
        @hookimpl
        async def on_disconnect(self) -> None:
            await trio.sleep(1000)

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            yield
            await trio.sleep(1000)

    async with running([Stubborn]) as chat:
        await chat.join("alice")
        begun = trio.current_time()
        chat.server.stop()
    assert trio.current_time() - begun <= chat.server.options.shutdown_timeout


async def test_a_server_that_is_cancelled_ends_within_its_time_too(virtual_time: object) -> None:
    class Stubborn:
        @hookimpl
        async def on_disconnect(self) -> None:
            await trio.sleep(1000)

    with trio.CancelScope() as scope:
        async with running([Stubborn]) as chat:
            await chat.join("alice")
            begun = trio.current_time()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert trio.current_time() - begun <= chat.server.options.shutdown_timeout


class InProgram(Transport):
    """A client in the program itself, which talks in chunks of bytes."""

    def __init__(self) -> None:
        self.address = "in the program"
        self.says, self._said = trio.open_memory_channel[bytes](10)
        self._heard, self.hears = trio.open_memory_channel[bytes](10)

    async def receive(self) -> bytes:
        try:
            return await self._said.receive()
        except trio.EndOfChannel:
            return b""
        except trio.ClosedResourceError as error:
            raise ConnectionLost("closed") from error

    def send_nowait(self, data: bytes | memoryview) -> int:
        return 0

    async def send_some(self, data: bytes | memoryview) -> int:
        try:
            await self._heard.send(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost("closed") from error
        return len(data)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self._heard.close()

    async def close(self) -> None:
        self._said.close()
        self._heard.close()


class Door(Listener):
    """A listener of a program's own."""

    accept: Accept

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        self.accept = accept
        task_status.started([])
        await trio.sleep_forever()


async def test_a_program_may_have_a_listener_and_a_transport_of_its_own(virtual_time: object) -> None:
    door, client = Door(), InProgram()
    server = Server(LOCAL, plugins={}, listeners=[door])
    async with trio.open_nursery() as nursery:
        assert await nursery.start(server.serve) == []
        door.accept(client)
        await client.says.send(b"alice\nhello\n")
        heard = b""
        while b"alice: hello\n" not in heard:
            heard += await client.hears.receive()
        assert [(each.name, each.address) for each in server.clients] == [("alice", "in the program")]
        client.says.close()
        async for data in client.hears:
            heard += data
        server.stop()
    assert heard.startswith(b"* welcome to trichat; type your name and press Enter\n")


# Calls at the wrong time, and with something wrong.


async def test_a_server_serves_once() -> None:
    server = Server(LOCAL, plugins={}, listeners=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        with pytest.raises(RuntimeError, match="a Server serves once, so make another one"):
            await server.serve()
        assert await nursery.start(still_served, server), "the other call has disturbed nothing"
        server.stop()
    with pytest.raises(RuntimeError, match="a Server serves once, so make another one"):
        await server.serve()


async def still_served(server: Server, *, task_status: trio.TaskStatus[bool]) -> None:
    """Report whether the server still lets somebody in."""
    ours, theirs = memory_stream_pair()
    await ours.send_all(b"alice\n")
    await ours.send_eof()
    await server.serve_stream(theirs, "10.0.0.7")
    task_status.started(b"welcome, alice" in await ours.receive_some())


@pytest.mark.parametrize(
    "call",
    [
        lambda server: server.say("lobby", "hello"),
        lambda server: server.reload(),
        lambda server: server.replace_plugin("living", Living([])),
        lambda server: server.serve_stream(memory_stream_pair()[0], "10.0.0.7"),
    ],
    ids=["say", "reload", "replace_plugin", "serve_stream"],
)
async def test_a_server_that_was_not_started_says_when_it_can_be_asked(
    call: Callable[[Server], Awaitable[None]],
) -> None:
    with pytest.raises(RuntimeError, match=r"^the server is not running: do this after nursery.start\(server.serve\)"):
        await call(Server(LOCAL, plugins={"living": Living([])}))


async def test_before_the_start_and_after_the_end_there_is_nothing_to_reload_nor_anyone_to_talk_to_at_once() -> None:
    server = Server(LOCAL, plugins={}, listeners=[])
    with pytest.raises(RuntimeError, match="the server is not running"):
        server.say_nowait("lobby", "too early")
    server.stop()
    await server.serve()
    with pytest.raises(RuntimeError, match="the server is not running"):
        await server.reload()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"config": {"server": {}}}, "the configuration must be a Config, not {'server': {}}"),
        ({"plugins": [Echo()]}, "plugins must be a dictionary of plugin objects by name, not "),
        ({"listeners": ["127.0.0.1:0"]}, "a listener must have a method `serve`"),
    ],
)
def test_a_server_of_something_else_is_refused_in_one_sentence(arguments: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^{told}"):
        Server(**{"plugins": {}, **arguments})


def test_a_class_in_place_of_a_plugin_is_refused() -> None:
    with pytest.raises(PluginError, match=r"plugin 'echo' .*: it is a class; pass an object of it, such as Echo\(\)"):
        Server(LOCAL, plugins={"echo": Echo})


async def test_a_listener_that_reports_something_else_than_addresses_is_named() -> None:
    class Vague(Listener):
        async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[Any]) -> None:
            task_status.started()
            await trio.sleep_forever()

    with pytest.RaisesGroup(
        pytest.RaisesExc(TypeError, match="Vague object at .* must report a list of addresses, not None"),
        flatten_subgroups=True,
    ):
        await Server(LOCAL, plugins={}, listeners=[Vague()]).serve()


async def test_only_text_can_be_said(chat: Chat) -> None:
    with pytest.raises(TypeError, match="what the server says must be a string, not 42"):
        await chat.server.say("lobby", 42)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a room must be a string, not None"):
        chat.server.say_nowait(None, "hello")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="what the server says must be a string, not 42"):
        chat.server.notice(42)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a plugin must be a string, not 42"):
        chat.server.storage(42)  # type: ignore[arg-type]
    assert chat.log == []


async def test_messages_come_after_those_of_an_earlier_run_although_the_clock_was_set_back(
    virtual_time: object,
) -> None:
    later = 4_000_000_000_000_000  # in the year 2096

    class Log:
        """Has the messages of an earlier run."""

        def __init__(self) -> None:
            self.ids: list[int] = []

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            server.resume_after(later)
            yield

        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            self.ids += [message.id for message in messages]

    log = Log()
    async with running([log]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await alice.hears("alice: hello")
    assert log.ids[0] > later
    assert log.ids == sorted(set(log.ids))


async def test_at_a_stop_people_hear_that_and_not_who_else_leaves(virtual_time: object) -> None:
    class Log:
        """Is told of everybody who leaves all the same."""

        def __init__(self) -> None:
            self.left: list[str] = []

        @hookimpl
        def on_broadcast(self, messages: Sequence[Message]) -> None:
            self.left += [message.sender for message in messages if message.kind == "quit"]

    log = Log()
    async with running([log]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        chat.server.stop()
        bob.hang_up()
        assert await alice.rest() == ["* the server is stopping"]
    assert sorted(log.left) == ["alice", "bob"]
