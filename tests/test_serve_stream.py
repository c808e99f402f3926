"""`Server.serve_stream`: it serves one client, and returns when the client has gone, whoever ends first."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from trichat import Client, Server, hookimpl
from trichat.testing import Chat, Run, cancel_everywhere, part, running


class Register:
    """Notes who connects and why they disconnect."""

    def __init__(self) -> None:
        self.connected: list[Client] = []
        self.disconnected: list[tuple[str, str]] = []

    @hookimpl
    def on_connect(self, client: Client) -> None:
        self.connected.append(client)

    @hookimpl
    async def on_disconnect(self, client: Client, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self.disconnected.append((client.name, reason))


@pytest.fixture
def register() -> Register:
    return Register()


@pytest.fixture
def chat_plugins(register: Register) -> Sequence[object]:
    return [register]


async def rest(stream: trio.abc.ReceiveStream) -> list[str]:
    return b"".join([data async for data in stream]).decode().splitlines()


async def test_it_returns_when_the_client_has_gone_and_the_plugins_know(chat: Chat, register: Register) -> None:
    ours, theirs = memory_stream_pair()
    await ours.send_all(b"bob\nhello\nbye\n")
    await chat.server.serve_stream(theirs, "10.0.0.7")
    assert register.disconnected == [("bob", "goodbye, bob")]
    assert [client.address for client in register.connected] == ["10.0.0.7"]
    assert (await rest(ours))[-2:] == ["bob: hello", "* goodbye, bob"]
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"the stream is closed")


async def test_it_returns_when_the_server_stops(virtual_time: object) -> None:
    ours, theirs = memory_stream_pair()
    async with running() as chat, trio.open_nursery() as nursery:
        alice = await chat.join("alice")
        nursery.start_soon(chat.server.serve_stream, theirs, "10.0.0.7")
        await ours.send_all(b"bob\n")
        await alice.hears("* bob joined")
        await chat.settled()
        chat.server.stop("for a test")
        await ours.send_eof()
    assert (await rest(ours))[-1] == "* the server is stopping (for a test)"


async def test_a_caller_that_is_cancelled_has_the_client_leave_first(chat: Chat, register: Register) -> None:
    alice = await chat.join("alice")
    ours, theirs = memory_stream_pair()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(chat.server.serve_stream, theirs, "10.0.0.7")
            await ours.send_all(b"bob\n")
            await alice.hears("* bob joined")
            await chat.settled()
            scope.cancel()
    assert scope.cancelled_caught
    assert register.disconnected == [("bob", "the server has closed this connection")]
    assert (await rest(ours))[-1] == "* the server has closed this connection"
    await alice.hears("* bob left")
    assert [client.name for client in chat.server.clients] == ["alice"]


@pytest.mark.chat(config={"server": {"send_timeout": 60, "shutdown_timeout": 5}})
async def test_a_client_that_reads_nothing_delays_the_cancellation_no_longer_than_a_stop(chat: Chat) -> None:
    ours, theirs = lockstep_stream_pair()  # it takes only data that is being read
    with trio.move_on_after(1):
        await chat.server.serve_stream(theirs, "10.0.0.7")
    assert trio.current_time() == pytest.approx(1 + 0.6 * 5)
    assert chat.server.clients == []
    await ours.aclose()


async def test_a_stop_gives_a_client_that_was_told_to_leave_no_more_time(virtual_time: object) -> None:
    ours, theirs = lockstep_stream_pair()
    ended: list[float] = []

    async def serve(server: Server) -> None:
        try:
            with trio.move_on_after(1):
                await server.serve_stream(theirs, "10.0.0.7")
        finally:
            ended.append(trio.current_time())

    async with running(config={"server": {"shutdown_timeout": 5}}) as chat, trio.open_nursery() as nursery:
        nursery.start_soon(serve, chat.server)
        await trio.sleep(3)
        chat.server.stop()
    assert ended == [pytest.approx(1 + 0.6 * 5)]
    await ours.aclose()


async def test_a_server_that_does_not_run_serves_nobody_and_leaves_the_stream_open(virtual_time: object) -> None:
    ours, theirs = memory_stream_pair()
    with pytest.raises(RuntimeError, match="the server is not running"):
        await Server(plugins={}).serve_stream(theirs, "10.0.0.7")
    async with running() as chat:
        pass
    with pytest.raises(RuntimeError, match="the server is not running"):
        await chat.server.serve_stream(theirs, "10.0.0.7")
    await theirs.send_all(b"still open")
    assert await ours.receive_some() == b"still open"


async def test_a_listener_of_trio_can_be_served(chat: Chat) -> None:
    alice = await chat.join("alice")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            serve = partial(chat.server.serve_stream, address="10.0.0.7")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            async with await trio.testing.open_stream_to_socket_listener(listener) as bob:
                await bob.send_all(b"bob\nhello\nbye\n")
                assert (await rest(bob))[-1] == "* goodbye, bob"
            await alice.hears("* bob joined", "bob: hello", "* bob left")
            nursery.cancel_scope.cancel()


async def test_a_plugin_may_serve_clients_in_a_task_of_its_own(virtual_time: object) -> None:
    ours, theirs = memory_stream_pair()
    events: list[str] = []

    class Door:
        """Serves a client. Its own task waits for that."""

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, server: Server) -> AsyncIterator[None]:
            self._opened = trio.Event()
            server.start_soon(self._serve, server)
            yield

        async def _serve(self, server: Server) -> None:
            await self._opened.wait()
            await server.serve_stream(theirs, "10.0.0.7")
            events.append("served")

        @hookimpl
        def on_join(self, client: Client) -> None:
            events.append(f"{client.name} may join")
            self._opened.set()

    async with running([Door]) as chat:
        alice = await chat.join("alice")
        await ours.send_all(b"bob\nbye\n")
        await alice.hears("* bob joined", "* bob left")
        await ours.send_eof()
        await chat.settled()
    assert events == ["alice may join", "bob may join", "served"]


# Both ends and the caller, cancelled at every checkpoint.


Scenario = Callable[[Chat], Awaitable[None]]


async def attended(chat: Chat, stream: trio.abc.Stream) -> None:
    """Serve a client in a part of the scenario that can be cancelled alone."""
    with part("caller") as caller:
        await caller.watching(chat.server.serve_stream(stream, "10.0.0.7"))


async def client_ends_first(chat: Chat) -> None:
    alice = await chat.join("alice")
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attended, chat, theirs)
        await ours.send_all(b"bob\nhello\nbye\n")
        await ours.send_eof()
        await alice.hears("* bob joined", "bob: hello", "* bob left")


async def server_ends_first(chat: Chat) -> None:
    alice = await chat.join("alice")
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attended, chat, theirs)
        await ours.send_all(b"bob\n")
        await alice.hears("* bob joined")
        await alice.say("stop")
        await ours.send_eof()


async def caller_ends_first(chat: Chat) -> None:
    alice = await chat.join("alice")
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attended, chat, theirs)
        await ours.send_all(b"bob\n")
        await alice.hears("* bob joined")
        nursery.cancel_scope.cancel()
    await alice.hears("* bob left")


def everyone_was_seen_off(run: Run) -> None:
    """Whoever connected has disconnected when the server has ended."""
    assert run.chat is not None
    register = run.chat.plugins["register"]
    assert isinstance(register, Register)
    cancelled_itself = run.struck is not None and "register" in run.struck.label
    assert cancelled_itself or len(register.disconnected) == len(register.connected)


@pytest.mark.parametrize("scenario", [client_ends_first, server_ends_first, caller_ends_first])
def test_whoever_ends_first_nothing_is_left(scenario: Scenario) -> None:
    survey = cancel_everywhere(
        scenario,
        plugins=lambda: [Register()],
        targets=["client", "server", "part", "scenario"],
        invariants=[everyone_was_seen_off],
    )
    assert any(case.startswith("part caller @ 1") for case in survey.cases)
    assert len(survey.cases) > 50
