"""Listeners of plugins: they open after the server's own, and each belongs to its plugin."""

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from client_kit import OTHER_FRONT
from made_kit import Made
from trio.testing import memory_stream_pair

from trichat import (
    Address,
    Client,
    Config,
    Listener,
    PluginError,
    Server,
    ServerOptions,
    StartError,
    TcpListener,
    UnixListener,
    command,
    hookimpl,
)
from trichat._config.plugin_policy import CLEANUP, Policy
from trichat._net.listener import Accept
from trichat._net.transport import StreamTransport
from trichat.testing import running

CONFIG = Config(server=ServerOptions(host="127.0.0.1", port=0, hook_timeout=5))

GREETING = b"* welcome to trichat; type your name and press Enter\n"


class Door(Listener):
    """A listener in memory. It notes in `events` when it opens and closes."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.crash = trio.Event()
        self._events = events
        self._accept: Accept

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.lowlevel.checkpoint()
        self._accept = accept
        self._events.append(f"{self.name} opens")
        try:
            task_status.started([Address(self.name, 1)])
            await self.crash.wait()
            raise OSError("the door fell off")
        finally:
            self._events.append(f"{self.name} closes")

    async def enter(self, name: str) -> trio.abc.HalfCloseableStream:
        """Connect, give a name, and read the greeting."""
        ours, theirs = memory_stream_pair()
        self._accept(StreamTransport(theirs, "10.0.0.7"), OTHER_FRONT)
        assert await ours.receive_some() == GREETING
        await ours.send_all(name.encode() + b"\n")
        assert (await ours.receive_some()).startswith(b"* welcome, ")
        return ours


class Porter:
    """A plugin with doors and a lifespan."""

    def __init__(self, *doors: object, events: list[str] | None = None, name: str = "porter") -> None:
        self.doors = doors
        self.events = [] if events is None else events
        self.name = name

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.events.append(f"{self.name} enters")
        try:
            yield
        finally:
            self.events.append(f"{self.name} leaves")

    @hookimpl
    def listeners(self) -> Sequence[Any]:
        self.events.append(f"{self.name} is asked")
        return self.doors


class Answering(Porter):
    """Has a command, too."""

    @command("knock", help="see whether the porter is there")
    def knock(self, client: Client) -> str:
        return "come in"


@asynccontextmanager
async def serving(plugins: dict[str, object], *own: Listener) -> AsyncIterator[Server]:
    """Run a server with its own listeners during the block."""
    server = Server(CONFIG, plugins=plugins, listeners=own)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        server.stop()


@pytest.fixture
def events() -> list[str]:
    return []


# At the start


async def test_they_open_after_the_servers_own_and_close_before_the_lifespans_are_left(
    virtual_time: object, events: list[str]
) -> None:
    one = Porter(Door("side", events), Door("back", events), events=events, name="one")
    two = Porter(Door("roof", events), events=events, name="two")
    async with serving({"one": one, "two": two}, Door("front", events)):
        events.append("running")
    starting, stopping = events[: events.index("running")], events[events.index("running") + 1 :]
    assert starting == [
        *("one enters", "two enters", "one is asked", "two is asked"),
        *("front opens", "side opens", "back opens", "roof opens"),
    ]
    assert sorted(stopping[:4]) == ["back closes", "front closes", "roof closes", "side closes"]
    assert stopping[4:] == ["two leaves", "one leaves"]


async def test_the_server_reports_only_its_own_and_logs_the_others(
    virtual_time: object, events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trichat.plugins")
    server = Server(CONFIG, plugins={"porter": Porter(Door("side", events))}, listeners=[Door("front", events)])
    async with trio.open_nursery() as nursery:
        assert await nursery.start(server.serve) == [Address("front", 1)]
        server.stop()
    assert "plugin 'porter' listens on side:1" in caplog.messages


async def test_clients_speak_the_front_of_the_listener_and_are_in_the_same_rooms(
    virtual_time: object, events: list[str]
) -> None:
    front, side = Door("front", events), Door("side", events)
    async with serving({"porter": Porter(side)}, front) as server:
        alice, bob = await front.enter("alice"), await side.enter("bob")
        await bob.send_all(b"hello\n")
        assert await alice.receive_some() == b"* bob joined\n"
        assert await alice.receive_some() == b"bob: hello\n"
        assert [(each.name, each.front) for each in server.clients] == [("alice", "other"), ("bob", "other")]


async def test_a_plugin_may_have_a_port_and_a_front_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    plugin = Made(listeners=lambda: [TcpListener(host, port, OTHER_FRONT)])
    with trio.fail_after(20):
        async with serving({"door": plugin}) as server, await trio.open_tcp_stream(host, port) as stream:
            assert await stream.receive_some() == GREETING
            assert [each.front for each in server.clients] == ["other"]
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, port))


def broken() -> Iterator[Listener]:
    yield Door("side", [])
    raise ValueError("it broke")


def raising() -> Sequence[Listener]:
    raise ValueError("it broke")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (raising, r"plugin 'porter' failed in listeners: ValueError\('it broke'\)"),
        (broken, r"plugin 'porter' failed in listeners: ValueError\('it broke'\)"),
        (lambda: 42, "plugin 'porter': the hook listeners must return a list of listeners, not 42"),
        (lambda: Door("side", []), "plugin 'porter': the hook listeners must return a list of listeners, not <.*Door"),
        (lambda: [Door], "plugin 'porter': a listener must be an object, not the class Door; call it to make one"),
        (lambda: ["127.0.0.1:7"], "plugin 'porter': a listener must have a method `serve`, .*, not '127.0.0.1:7'"),
    ],
)
async def test_what_is_no_list_of_listeners_keeps_the_server_from_starting(
    virtual_time: object, events: list[str], hook: Callable[[], object], said: str
) -> None:
    with pytest.raises(PluginError, match=f"^{said}"):
        await Server(CONFIG, plugins={"porter": Made(listeners=hook)}, listeners=[Door("front", events)]).serve()
    assert events == [], "nobody could connect meanwhile"


async def test_an_async_function_is_refused() -> None:
    async def listeners() -> Sequence[Listener]:
        return []

    with pytest.raises(PluginError, match="listeners is an async def; it must be a plain def"):
        Server(CONFIG, plugins={"porter": Made(listeners=listeners)})


async def test_a_plugin_may_have_none_today(virtual_time: object) -> None:
    async with serving({"none": Made(listeners=lambda: None), "empty": Made(listeners=lambda: ())}) as server:
        assert server.plugin_names == ["none", "empty"]


class Unable(Listener):
    """Raises `error` at the start."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.lowlevel.checkpoint()
        raise self._error


class Unready(Listener):
    """Never gets ready."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.sleep_forever()


class Vague(Listener):
    """Says nothing about where it listens."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[Any]) -> None:
        task_status.started()
        await trio.sleep_forever()


class Brief(Listener):
    """Ends before it is ready."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        (Unable(StartError("cannot listen on :7")), "plugin 'bad' cannot start: cannot listen on :7"),
        (Unable(OSError(13, "Permission denied", "/x")), "plugin 'bad' cannot start: /x: Permission denied"),
        (Unable(ExceptionGroup("two", [ValueError("a"), ValueError("b")])), "plugin 'bad' cannot start: a; b"),
        (Unable(SystemExit(3)), "plugin 'bad' cannot start: 3"),
        (Unready(), "plugin 'bad' did not start within 5 seconds"),
        (Vague(), "plugin 'bad' cannot start: .*Vague object at .* must report a list of addresses, not None"),
        (Brief(), "plugin 'bad' cannot start: child exited without calling task_status.started"),
    ],
    ids=["StartError", "OSError", "ExceptionGroup", "SystemExit", "hangs", "vague", "brief"],
)
async def test_one_that_cannot_open_keeps_the_server_from_starting_and_its_plugin_is_named(
    virtual_time: object, events: list[str], listener: Listener, said: str
) -> None:
    plugins = {"good": Porter(Door("side", events), events=events), "bad": Made(listeners=lambda: [listener])}
    with pytest.raises(StartError, match=f"^{said}"):
        await Server(CONFIG, plugins=plugins, listeners=[Door("front", events)]).serve()
    assert events.count("front closes") == events.count("side closes") == events.count("porter leaves") == 1


async def test_a_port_that_is_taken_is_named_with_its_plugin() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plugin = Made(listeners=lambda: [TcpListener(*taken.getsockname())])
        with pytest.raises(
            StartError, match=r"^plugin 'door' cannot start: cannot listen on 127.0.0.1:\d+: Address al"
        ):
            await Server(CONFIG, plugins={"door": plugin}, listeners=[]).serve()


async def test_a_stop_while_they_open_does_not_wait_for_them_and_blames_nobody(
    virtual_time: object, events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(CONFIG, plugins={"porter": Porter(Unready(), events=events)}, listeners=[Door("front", events)])

    async def stop() -> None:
        await trio.sleep(1)
        server.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        assert await nursery.start(server.serve) == []
    assert trio.current_time() < 2
    assert events[-2:] == ["front closes", "porter leaves"]
    assert caplog.messages == []


# In a running server


async def test_one_that_fails_takes_down_its_plugin_and_nobody_else(
    virtual_time: object, events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    front, side, back, roof = (Door(name, events) for name in ("front", "side", "back", "roof"))
    plugins = {"porter": Answering(side, back, events=events), "other": Made(listeners=lambda: [roof])}
    async with serving(plugins, front) as server:
        alice = await side.enter("alice")
        side.crash.set()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(events[-3:]) == ["back closes", "porter leaves", "side closes"]
        assert list(server.commands) == []
        assert caplog.messages == ["plugin 'porter': it crashed"]
        assert caplog.records[0].exc_info is not None
        for door, name in ((front, "bob"), (roof, "carol")):
            await door.enter(name)
            assert await alice.receive_some() == f"* {name} joined\n".encode()


async def test_those_of_a_plugin_that_crashes_close(virtual_time: object, events: list[str]) -> None:
    class Fragile(Porter):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:  # type: ignore[override]
            server.start_soon(self.break_down)
            yield

        async def break_down(self) -> None:
            await trio.sleep(1)
            raise ValueError("oops")

    async with serving({"fragile": Fragile(Door("side", events))}, Door("front", events)):
        await trio.sleep(2)
        assert events == ["front opens", "side opens", "side closes"]


async def test_a_plugin_that_crashed_before_they_open_opens_none(virtual_time: object, events: list[str]) -> None:
    class Waits(Listener):
        """Opens after two seconds."""

        async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
            await trio.sleep(2)
            task_status.started([])

    class Fragile(Porter):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:  # type: ignore[override]
            server.start_soon(self.break_down)
            yield

        async def break_down(self) -> None:
            await trio.sleep(1)
            raise ValueError("oops")

    async with serving({"fragile": Fragile(Door("side", events))}, Waits()) as server:
        assert server.plugin_names == ["fragile"]
        assert events == []


async def test_one_that_does_not_end_is_named_and_holds_up_nobody(
    virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Listener):
        async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
            task_status.started([])
            with trio.CancelScope(shield=True):
                await trio.sleep(CLEANUP + 0.1)

    async with serving({"stubborn": Made(listeners=lambda: [Stubborn()])}):
        pass
    assert trio.current_time() < 2 * CLEANUP
    assert caplog.messages == ["plugin 'stubborn': one of its listeners does not end although it was cancelled"]


class Passing(Listener):
    """Ends as soon as it has opened."""

    async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
        await trio.lowlevel.checkpoint()
        task_status.started([])


@pytest.mark.parametrize("cancelled", [False, True], ids=["stop", "cancel"])
async def test_a_connection_that_is_accepted_while_they_close_is_told_goodbye(
    virtual_time: object, caplog: pytest.LogCaptureFixture, cancelled: bool
) -> None:
    ours, theirs = memory_stream_pair()

    class Late(Listener):
        """Accepts one more connection when it has to close."""

        async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
            task_status.started([])
            try:
                await trio.sleep_forever()
            finally:
                with trio.move_on_after(CLEANUP / 2, shield=True):
                    await trio.sleep_forever()
                accept(StreamTransport(theirs, "10.0.0.7"))

    server = Server(CONFIG, plugins={"late": Made(listeners=lambda: [Passing(), Late()])}, listeners=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        if cancelled:
            nursery.cancel_scope.cancel()
        else:
            server.stop()
    with trio.fail_after(5):
        assert (await ours.receive_some()).endswith(b"* the server is stopping\n")
    assert caplog.messages == []


async def test_a_plugin_in_shadow_lets_nobody_in(virtual_time: object, events: list[str]) -> None:
    config = Config.from_tables({"server": {"port": 0}, "plugins": {"porter": {"shadow": True}}})
    server = Server(config, plugins={"porter": Porter(Door("side", events), events=events)}, listeners=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        server.stop()
    assert events == ["porter enters", "porter is asked", "porter leaves"]


# In a new version of a plugin


async def test_a_new_version_closes_those_of_the_previous_one_and_clients_stay(
    virtual_time: object, events: list[str]
) -> None:
    side, back = Door("side", events), Door("back", events)
    async with serving({"porter": Porter(side, events=events, name="old")}) as server:
        alice = await side.enter("alice")
        events.clear()
        await server.replace_plugin("porter", Porter(back, events=events, name="new"))
        assert events == ["side closes", "old leaves", "new enters", "new is asked", "back opens"]
        await back.enter("bob")
        assert await alice.receive_some() == b"* bob joined\n"


async def test_a_plugin_without_a_lifespan_is_replaced_likewise(virtual_time: object, events: list[str]) -> None:
    async with serving({"porter": Made(listeners=lambda: [Door("side", events)])}) as server:
        await server.replace_plugin("porter", Made(listeners=lambda: [Door("back", events)]))
        assert events == ["side opens", "side closes", "back opens"]
        await server.replace_plugin("porter", Made(on_message=lambda: None))
        assert events[-1] == "back closes"
        await server.replace_plugin("porter", Made(listeners=lambda: [Door("side", events)]))
        assert events[-1] == "side opens"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (Porter(Unable(StartError("the port is taken"))), "plugin 'porter' cannot start: the port is taken"),
        (Porter(Unready()), "plugin 'porter' did not start within 5 seconds"),
        (Porter("no door"), "plugin 'porter' cannot start: .* a listener must have a method `serve`"),
    ],
    ids=["taken", "hangs", "wrong"],
)
async def test_if_those_of_a_new_version_cannot_open_the_previous_one_has_its_own_again(
    virtual_time: object, events: list[str], new: Porter, said: str
) -> None:
    new.events, new.name = events, "new"
    side = Door("side", events)
    async with serving({"porter": Porter(side, events=events, name="old")}) as server:
        events.clear()
        with pytest.raises(StartError, match=said):
            await server.replace_plugin("porter", new)
        assert events == [
            *("side closes", "old leaves", "new enters", "new is asked", "new leaves"),
            *("old enters", "old is asked", "side opens"),
        ]
        await side.enter("alice")


async def test_a_replacement_waits_until_those_of_the_first_version_are_open(
    virtual_time: object, events: list[str]
) -> None:
    class Slow(Door):
        async def serve(self, accept: Accept, *, task_status: trio.TaskStatus[list[Address]]) -> None:
            await trio.sleep(1)
            await super().serve(accept, task_status=task_status)

    server = Server(CONFIG, plugins={"porter": Made(listeners=lambda: [Slow("slow", events)])}, listeners=[])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve)
        await trio.sleep(0.5)
        await server.replace_plugin("porter", Made(listeners=lambda: [Door("side", events)]))
        assert events == ["slow opens", "slow closes", "side opens"]
        server.stop()


class Slow(Porter):
    """Takes two seconds to start."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        await trio.sleep(2)
        yield


async def test_a_stop_while_those_of_a_new_version_open_opens_no_more(virtual_time: object, events: list[str]) -> None:
    async def replace() -> None:
        version = Porter(Unready(), Door("side", events), events=events)
        with pytest.raises(PluginError, match=r"^plugin 'porter' cannot start: the server is stopping"):
            await server.replace_plugin("porter", version, Policy(hook_timeout=60))

    async with trio.open_nursery() as nursery, serving({"porter": Porter(events=events)}) as server:
        nursery.start_soon(replace)
        await trio.sleep(1)
    assert trio.current_time() < 3
    assert "side opens" not in events


async def test_a_new_version_that_has_started_after_a_stop_opens_none(virtual_time: object, events: list[str]) -> None:
    client, theirs = memory_stream_pair()
    new = Slow(Door("side", events))
    async with trio.open_nursery() as nursery, serving({"porter": Porter()}) as server:
        server.attach(theirs, "10.0.0.7")  # it does not close its end, so it is given time
        nursery.start_soon(server.replace_plugin, "porter", new)  # noqa: ASYNC111 - it is to outlast the server
        await trio.sleep(1.9)
    assert new.events == ["porter is asked"]
    assert events == []
    await client.aclose()


# In the test kit


async def test_the_kit_asks_for_them_and_opens_none(virtual_time: object, events: list[str]) -> None:
    async with running([Answering(Door("side", events), UnixListener("/nowhere/at/all"), events=events)]) as chat:
        alice = await chat.join("alice")
        await alice.say("/knock")
        await alice.hears("* come in")
        assert events == ["porter enters", "porter is asked"]
    with pytest.raises(PluginError, match="plugin 'porter': a listener must have a method `serve`"):
        async with running({"porter": Porter("no door")}):
            pass
