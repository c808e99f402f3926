"""The control socket: what can be asked there, and that whoever asks costs the server nothing.

The sockets are real; the time is not, so that what hangs for a minute does so at once.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trichat import Client, ControlRequest, Message, PluginError, Refuse, StartError, hookimpl
from trichat._ops.control_server import MAX_CLIENTS, MAX_REQUEST, REQUEST_TIMEOUT, SEND_TIMEOUT, Control
from trichat._ops.reloader import Reloader
from trichat._plugins.tracing import TRACE_BACKLOG
from trichat._server import core_of
from trichat.testing import Chat, Run, cancel_everywhere, part, running


class Caller:
    """Somebody with `nc -U`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""

    async def say(self, text: str) -> None:
        await self.stream.send_all(text.encode())

    async def line(self) -> str | None:
        """The next line; `None` at the end of the connection, however that came."""
        while b"\n" not in self._received:
            data = b""
            with suppress(trio.BrokenResourceError):
                data = await self.stream.receive_some()
            if not data:
                assert not self._received, f"half a line before the end: {self._received!r}"
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    async def rest(self) -> list[str]:
        """All lines to the end of the connection."""
        lines = []
        while (line := await self.line()) is not None:
            lines.append(line)
        return lines


class Controlled:
    """A chat that can be asked."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.path = chat.folder / "trichat.sock"

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[Caller]:
        async with await trio.open_unix_socket(self.path) as stream:
            yield Caller(stream)

    async def asked(self, request: str) -> list[str]:
        """The whole answer to a request."""
        async with self.caller() as caller:
            await caller.say(f"{request}\n")
            return await caller.rest()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Caller]:
        """Watch the messages, from the moment at which nothing is missed any more."""
        async with self.caller() as caller:
            await caller.say("trace\n")
            assert (await caller.line() or "").startswith("= watching; ")
            yield caller


def is_traced(chat: Chat) -> bool:
    plugins = core_of(chat.server).plugins
    return plugins.ask_message != plugins.walk.ask


@asynccontextmanager
async def controlled(chat: Chat) -> AsyncIterator[Controlled]:
    """Run a control socket for `chat`."""
    it = Controlled(chat)
    reloader = Reloader(core_of(chat.server))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reloader.run)
        await nursery.start(Control(it.path, core_of(chat.server), reloader).serve)
        yield it
        nursery.cancel_scope.cancel()


@pytest.fixture
async def control(virtual_time: object, chat: Chat) -> AsyncIterator[Controlled]:
    async with controlled(chat) as it:
        yield it


# What can be asked.


async def test_tasks_are_the_whole_tree_with_clients_by_name(control: Controlled) -> None:
    await control.chat.join("alice")
    await control.chat.connect("10.0.0.7")
    *tree, end = await control.asked("tasks")
    assert end == "."
    assert all(line.startswith("= ") for line in tree)
    names = {line[2:].partition("  at ")[0].strip() for line in tree}
    assert {"client alice", "client 10.0.0.7", "broadcaster", "plugin chat_log", "control tasks"} <= names
    assert any(re.search(r"client alice  at \w+\.py:\d+ in \w+\.\w+: await ", line) for line in tree)


async def test_the_tree_of_a_full_house_lets_others_have_their_turn(control: Controlled) -> None:
    people = 300
    for number in range(people):
        await control.chat.join(f"guest{number}")
    alice = await control.chat.join("alice")
    async with control.caller() as caller:
        await caller.say("tasks\n")
        assert await caller.line()
        await alice.say("hello")
        await alice.hears("alice: hello")
        tree = await caller.rest()
    assert sum(" client guest" in line for line in tree) == people


async def test_reload_tells_that_all_went_well(control: Controlled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trichat")
    assert await control.asked("reload") == ["= reloaded", "."]
    assert caplog.messages.count("reloading") == 1


class Unlucky:
    @hookimpl
    def on_reload(self) -> None:
        raise OSError("there is no\nmotd\x1b[2J.txt")


async def test_reload_tells_what_has_failed(virtual_time: object) -> None:
    async with running({"unlucky": Unlucky()}) as chat, controlled(chat) as control:
        assert await control.asked("reload") == [
            "! the plugin 'unlucky' failed: there is no motd.txt; it keeps what it had",
            ".",
        ]


async def test_reload_tells_what_has_changed(virtual_time: object, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(reloader: Reloader) -> None:
        reload = reloader.ask()
        reload.news = ["plugin 'dice': replaced by its new version"]
        reload.done.set()
        await trio.sleep_forever()

    monkeypatch.setattr(Reloader, "run", run)
    async with running() as chat, controlled(chat) as control:
        assert await control.asked("reload") == [
            "= plugin 'dice': replaced by its new version",
            "= reloaded",
            ".",
        ]


class Slow:
    def __init__(self) -> None:
        self.reloaded = False

    @hookimpl
    async def on_reload(self) -> None:
        await trio.sleep(1)
        self.reloaded = True


async def test_a_reload_is_done_although_whoever_asked_for_it_has_gone(virtual_time: object) -> None:
    slow = Slow()
    async with running({"slow": slow}) as chat, controlled(chat) as control:
        async with control.caller() as caller:
            await caller.say("reload\n")
            await wait_all_tasks_blocked()
        await trio.sleep(2)
        assert slow.reloaded
        assert (await control.asked("tasks"))[-1] == "."


class Strict:
    @hookimpl
    async def on_message(self, client: Client, message: Message) -> Refuse | None:
        return Refuse("no\nshouting") if message.text.isupper() else None


async def test_trace_tells_of_each_message_as_it_comes(virtual_time: object) -> None:
    async with running({"strict": Strict()}) as chat, controlled(chat) as control:
        alice = await chat.join("alice")
        async with control.caller() as caller:
            await caller.say("trace\n")
            first = await caller.line()
            assert first == "= watching; asked about each message, in this order: stop, bye, strict"
            await alice.say("HELLO")
            told = [await caller.line() or "" for _ in range(4)]
    assert [re.sub(r"\d{4}-\S+Z| +[\d.]+ µs", "", line) for line in told] == [
        "=  lobby alice: HELLO",
        "=   stop    passed",
        "=   bye     passed",
        "=   strict  refused  no shouting",
    ]


async def test_a_trace_ends_when_whoever_watches_hangs_up(control: Controlled) -> None:
    async with control.watched():
        assert is_traced(control.chat)
    await wait_all_tasks_blocked()
    assert not is_traced(control.chat)


async def test_a_trace_ends_when_whoever_watches_says_no_more(control: Controlled) -> None:
    async with control.watched() as caller:
        await caller.stream.send_eof()
        assert await caller.rest() == ["."]


@pytest.mark.parametrize("request_line", ["", "stop", "tasks please", "\x1b[2J", "ä" * 300, "TASKS"])
async def test_what_is_no_request_is_told_those_that_there_are(control: Controlled, request_line: str) -> None:
    [told, end] = await control.asked(request_line)
    assert re.fullmatch(r"! there is no request '.*', only: reload, tasks, trace", told)
    assert "\x1b" not in told
    assert len(told) < 6 * MAX_REQUEST
    assert end == "."


class Greeter:
    """Greets whom it is told, but for one."""

    @hookimpl
    def control_requests(self) -> Mapping[str, ControlRequest]:
        return {"greet": self._greet}

    async def _greet(self, words: Sequence[str]) -> str | Refuse:
        return Refuse("not\nmallory") if "mallory" in words else "\n".join(f"hello {word}\x1b[2J" for word in words)


async def test_a_plugin_answers_its_requests_with_the_words_after_the_name(virtual_time: object) -> None:
    async with running([Greeter]) as chat, controlled(chat) as control:
        assert await control.asked("greet alice 'bob the builder'") == ["= hello alice", "= hello bob the builder", "."]
        assert await control.asked("greet") == ["."]
        assert await control.asked("greet mallory") == ["! not mallory", "."]
        assert await control.asked("greet it's") == ['! "greet it\'s" cannot be answered: No closing quotation', "."]
        assert await control.asked("wave") == ["! there is no request 'wave', only: reload, tasks, trace, greet", "."]
        assert (await control.asked("tasks"))[-1] == "."


async def test_a_plugin_that_takes_a_request_of_ours_refuses_the_start(virtual_time: object) -> None:
    class Greedy:
        @hookimpl
        def control_requests(self) -> Mapping[str, ControlRequest]:
            return {"tasks": lambda words: "none"}

    async with running([Greedy]) as chat:
        with pytest.raises(PluginError, match="plugin 'greedy' has the request 'tasks', which is built in"):
            Control(chat.folder / "trichat.sock", core_of(chat.server), Reloader(core_of(chat.server)))


async def test_a_request_that_is_too_long_is_not_carried_out_in_part(virtual_time: object) -> None:
    async with running([Greeter]) as chat, controlled(chat) as control:
        longest = "greet " + "x" * (MAX_REQUEST - len("greet "))
        assert (await control.asked(longest))[0].startswith("= hello xxx")
        assert await control.asked(f"{longest}x") == [
            f"! the request is too long; send at most {MAX_REQUEST} bytes",
            ".",
        ]


async def test_a_request_may_come_byte_by_byte_and_what_follows_it_is_not_looked_at(control: Controlled) -> None:
    async with control.caller() as caller:
        for byte in "reload\r\n":
            await caller.say(byte)
            await wait_all_tasks_blocked()
        assert await caller.rest() == ["= reloaded", "."]
    async with control.caller() as caller:
        await caller.say("reload\nand something else")
        assert await caller.line() == "= reloaded"


async def test_the_end_of_what_is_said_ends_a_request_too(control: Controlled) -> None:
    async with control.caller() as caller:
        await caller.say("reload")
        await caller.stream.send_eof()
        assert await caller.rest() == ["= reloaded", "."]


# Who costs nothing.


async def test_who_says_nothing_is_hung_up_on(control: Controlled) -> None:
    async with control.caller() as caller:
        begun = trio.current_time()
        assert await caller.rest() == []
        assert trio.current_time() - begun == pytest.approx(REQUEST_TIMEOUT)


async def test_who_says_too_much_is_told_no_more_than_what_is_there(control: Controlled) -> None:
    async with control.caller() as caller:
        with suppress(trio.BrokenResourceError):
            await caller.say("x" * 1_000_000)
        assert len(await caller.rest()) <= 2
    assert await control.asked("reload") == ["= reloaded", "."]


@pytest.mark.parametrize("request_line", ["", "ta", "tasks\n", "trace\n", "reload\n"])
async def test_who_goes_away_at_any_moment_is_not_noticed(
    control: Controlled, request_line: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2 * MAX_CLIENTS):
        async with control.caller() as caller:
            await caller.say(request_line)
    assert (await control.asked("tasks"))[-1] == "."
    assert caplog.messages == []


async def test_there_is_room_for_some_and_the_next_one_is_told_so(control: Controlled) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_CLIENTS):
            nursery.start_soon(hold, control)
        await wait_all_tasks_blocked()
        assert await control.asked("tasks") == [
            f"! too many clients: the control socket serves at most {MAX_CLIENTS} at a time; try again",
            ".",
        ]
        nursery.cancel_scope.cancel()
    assert (await control.asked("tasks"))[-1] == "."


async def hold(control: Controlled) -> None:
    async with control.watched():
        await trio.sleep_forever()


async def test_a_watcher_who_does_not_read_holds_nobody_up_and_is_hung_up_on_in_the_end(control: Controlled) -> None:
    alice = await control.chat.join("alice")
    async with control.watched() as sloth:
        for _ in range(2 * TRACE_BACKLOG):
            await alice.say("x" * 1000)
            await alice.hears("alice: " + "x" * 1000)
        await trio.sleep(2 * SEND_TIMEOUT)
        assert not is_traced(control.chat)
        told = await sloth.rest()
        assert told
        assert told[-1] != "."


async def test_an_error_of_ours_is_logged_and_ends_nothing_else(
    control: Controlled, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trichat._ops.control_server.task_lines", lambda: 1 / 0)
    assert await control.asked("tasks") == []
    assert caplog.messages == ["an error in the control socket"]
    assert await control.asked("reload") == ["= reloaded", "."]


# Its beginning and its end.


async def test_it_is_gone_with_its_listener(virtual_time: object, chat: Chat) -> None:
    async with controlled(chat) as control:
        assert control.path.is_socket()
    assert not control.path.exists()


async def test_where_another_server_listens_it_does_not_begin(control: Controlled) -> None:
    with pytest.RaisesGroup(StartError, flatten_subgroups=True):
        async with controlled(control.chat):
            pass


async def is_asked_everything(chat: Chat) -> None:
    """Somebody asks for everything while people talk."""
    control = Controlled(chat)
    reloader = Reloader(core_of(chat.server))
    alice = await chat.join("alice")
    with part("control"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reloader.run)
            await nursery.start(Control(control.path, core_of(chat.server), reloader).serve)
            async with control.caller() as watching, control.caller() as asking:
                await watching.say("trace\n")
                await watching.line()
                await alice.say("hello")
                with trio.move_on_after(1):  # a server that is cancelled hears nothing any more
                    await watching.line()
                await asking.say("reload\n")
                await asking.rest()
                await asking.stream.aclose()
            assert len(await control.asked("tasks")) > 10
            nursery.cancel_scope.cancel()
    await alice.say("on it goes")
    await alice.hears("alice: hello", "alice: on it goes")


def no_socket_is_left(run: Run) -> None:
    """The socket is removed, and nobody watches any more."""
    assert not (Path(run.folder) / "trichat.sock").exists()
    assert run.chat is None or not is_traced(run.chat)


def test_whatever_is_cancelled_nothing_of_it_is_left_and_the_chat_goes_on() -> None:
    survey = cancel_everywhere(is_asked_everything, targets=("part", "server"), invariants=[no_socket_is_left])
    assert len(survey.cases) > 50
