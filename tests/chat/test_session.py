"""A session: behaviour that neither the transcripts nor test_promises.py show."""

import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from trichat import Client, Message, Refuse, command, format_log_lines, hookimpl, operators
from trichat._chat.inbox import CAPACITY
from trichat._chat.session import Session
from trichat._fronts.line.dialogue import NAMES_SHOWN
from trichat._net.transport import RECEIVE_BYTES
from trichat._plugins.deadlines import Calls
from trichat.testing import Chat, Person, running
from trichat.testing._chat.chat import Tables


async def test_a_name_and_lines_in_one_piece_are_all_taken(chat: Chat) -> None:
    alice = chat.connect_silently()
    await alice.send(b"alice\r\none\r\n\r\n  \r\ntwo\nthree")
    alice.send_eof()
    assert (await alice.rest())[2:] == ["alice: one", "alice: two", "alice: three"]


async def test_blank_lines_are_no_names_and_not_said(chat: Chat) -> None:
    alice = chat.connect_silently()
    await alice.send(b"\n \n\t\n")
    await alice.send(b"  \nalice\n \n\nhello\n")
    await alice.hears("* welcome to trichat; type your name and press Enter")
    assert (await alice.next_line() or "").startswith("* welcome, alice")
    await alice.hears("alice: hello")


@pytest.mark.parametrize("sent", [b"", b"\n \n", b" "], ids=["nothing", "blank lines", "half a blank line"])
async def test_who_says_no_more_before_a_name_has_left(chat: Chat, sent: bytes) -> None:
    alice = chat.connect_silently()
    await alice.send(sent)
    alice.send_eof()
    assert await alice.rest() == ["* welcome to trichat; type your name and press Enter"]


async def test_a_name_may_be_all_that_somebody_says(chat: Chat) -> None:
    bob = await chat.join("bob")
    alice = chat.connect_silently()
    await alice.send(b"alice")
    alice.send_eof()
    await bob.hears("* alice joined", "* alice left")


async def test_a_line_may_come_in_pieces_and_the_pieces_slowly(chat: Chat) -> None:
    alice = await chat.join("alice")
    for byte in "grüße\n".encode():
        await alice.send(bytes([byte]))
        await trio.sleep(1)
    await alice.hears("alice: grüße")


class Batches:
    """Records the number of messages in each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.sizes.append(len(messages))


async def test_lines_in_one_piece_are_sent_in_one_batch(virtual_time: object) -> None:
    batches = Batches()
    async with running([batches]) as chat:
        alice = await chat.join("alice")
        await alice.send(b"one\ntwo\nthree\n")
        await alice.hears("alice: one", "alice: two", "alice: three")
    assert batches.sizes == [1, 3, 1]


class Hold:
    """Blocks a batch on request."""

    def __init__(self) -> None:
        self.held: trio.Event | None = None

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        if self.held is not None:
            await self.held.wait()


class HeldUp(NamedTuple):
    """A chat in which alice has said "one", and nobody hears it before `release` is called."""

    chat: Chat
    alice: Person
    bob: Person
    sizes: list[int]
    """The sizes of the batches from then on."""
    release: Callable[[], None]


@pytest.fixture
async def held_up(virtual_time: object) -> AsyncIterator[HeldUp]:
    hold, batches = Hold(), Batches()
    async with running([batches, hold]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.hears("* bob joined")
        batches.sizes.clear()
        hold.held = trio.Event()
        await alice.say("one")
        await chat.settled()
        yield HeldUp(chat, alice, bob, batches.sizes, hold.held.set)


async def test_lines_said_one_by_one_while_a_fan_out_is_under_way_are_sent_together(held_up: HeldUp) -> None:
    chat, alice, bob, sizes, release = held_up
    for text in ("two", "three", "four"):
        await bob.say(text)
        await chat.settled()
    release()
    await alice.hears("alice: one", "bob: two", "bob: three", "bob: four")
    assert sizes == [1, 3], "everything that bob said meanwhile goes in one batch"


async def test_who_said_as_much_as_is_received_in_one_go_is_read_on(held_up: HeldUp) -> None:
    chat, alice, bob, sizes, release = held_up
    line = b"x" * 1023
    count = 2 * RECEIVE_BYTES // 1024
    await bob.send((line + b"\n") * count)
    await chat.settled()
    assert len(chat.transports[1].incoming) == 0
    release()
    await alice.hears("alice: one", *[f"bob: {line.decode()}"] * count)
    assert sizes == [1, count]


async def test_an_open_fence_is_said_when_the_client_ends_its_side(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("```", "build 7")
    bob.hang_up()
    await alice.hears("bob: ```", "bob: build 7", "* bob left")


async def test_nothing_of_a_fence_is_said_after_a_kick(chat: Chat) -> None:
    alice, bob = await chat.join("alice"), await chat.join("bob")
    await alice.hears("* bob joined")
    await bob.say("```", "build 7")
    chat.server.clients[1].kick("enough")
    await alice.hears("* bob left")
    await alice.hears_nothing()


async def test_who_waits_for_room_in_the_channel_waits_for_no_other_fan_out(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.send(b"x\n" * (CAPACITY + 1))  # the last line finds no room
    await alice.hears(*["alice: x"] * (CAPACITY + 1))
    await alice.say("and another")
    await alice.hears("alice: and another")


async def test_who_says_something_and_gives_a_command_in_one_piece_waits_for_no_other_fan_out(chat: Chat) -> None:
    alice = await chat.join("alice")
    await alice.send(b"hello\n/who\n")  # the line is sent while the command runs
    assert sorted([await alice.next_line() or "" for _ in range(2)]) == ["* here: alice", "alice: hello"]
    await alice.say("and another")
    await alice.hears("alice: and another")


@pytest.mark.parametrize(
    "sent",
    [b"guest%d\n" + b"hi\n" * 1000, b"guest%d\n" + b"hi\n" * RECEIVE_BYTES],
    ids=["with the name", "afterwards, too"],
)
@pytest.mark.chat(config={"plugins": {"chat_log": {"enabled": False}}})  # the chat log keeps messages in memory
async def test_a_silent_client_takes_no_memory_for_what_it_has_said(chat: Chat, sent: bytes) -> None:
    decoded = tracemalloc.Filter(True, "*/trichat/_fronts/*")
    tracemalloc.start()
    try:
        for number in range(2):
            guest = chat.connect_silently()
            await guest.send(sent % number)
        await chat.settled()
        held = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([decoded]).traces)
    finally:
        tracemalloc.stop()
    assert held < 2 * 1024, f"{held} bytes of decoded lines are kept for 2 clients"


async def test_the_time_for_a_name_is_not_the_time_for_the_history(virtual_time: object) -> None:
    class Slow:
        @hookimpl
        async def history(self) -> Sequence[Message]:
            await trio.sleep(3)
            return []

    async with running([Slow], config={"server": {"name_timeout": 1}}) as chat:
        alice = await chat.connect()
        await alice.say("alice")
        await trio.sleep(5)
        assert (await alice.next_line() or "").startswith("* welcome, alice")


async def test_what_is_said_during_a_long_history_does_not_throw_out_a_joiner_who_reads_slowly(
    tmp_path: Path, virtual_time: object
) -> None:
    past = [Message(f"{number} {'x' * 100}", "old", id=1_000_000 + number) for number in range(3000)]
    (tmp_path / "chat_log.txt").write_text(format_log_lines(past))
    config: Tables = {"server": {"backlog_bytes": 8192}, "plugins": {"chat_log": {"replay": "all"}}}
    async with running(config=config, folder=tmp_path) as chat:
        alice = await chat.join("alice")
        carol = chat.connect_silently(name="carol")
        carol.stop_reading()
        await carol.say("carol")
        await chat.settled()
        said = [f"{number} {'y' * 1000}" for number in range(20)]
        await alice.say(*said)
        await chat.settled()
        carol.read_on()
        heard = await carol.hears_up_to("* welcome, carol")
        shown = [line.partition("] ")[2] for line in heard if line.startswith("[")]
        expected = [*(f"old: {message.text}" for message in past), *(f"alice: {line}" for line in said)]
        assert [line for line in shown if not line.startswith("* ")] == expected
        await alice.say("are you here?")
        await carol.hears("alice: are you here?")


class SlowArchive:
    """Keeps what is said, and takes a second to read it for somebody who joins."""

    def __init__(self) -> None:
        self.kept: list[Message] = [Message("earlier", "old", id=1)]

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        self.kept += messages

    @hookimpl
    async def history(self, after: int, before: int) -> Iterator[Message]:
        await trio.sleep(1)
        return iter([message for message in self.kept if after < message.id < before])  # a long one: no sequence


async def test_who_joins_a_busy_room_is_not_thrown_out_while_three_parts_of_the_history_are_read(
    virtual_time: object,
) -> None:
    config: Tables = {"server": {"backlog_bytes": 8192}, "plugins": {"chat_log": {"enabled": False}}}
    async with running([SlowArchive()], config) as chat:
        alice = await chat.join("alice")
        carol = await chat.connect(name="carol")
        await carol.say("carol")
        await trio.sleep(0.5)
        said = [[f"part {part}, line {number}: {'y' * 1000}" for number in range(10)] for part in range(3)]
        for lines in said:  # while another part is read; after joining, so much would be more than a backlog
            await alice.say(*lines)
            await trio.sleep(1)
        heard = await carol.hears_up_to("* welcome, carol")
        shown = [line.partition("] alice: ")[2] for line in heard if "] alice: " in line]
        assert shown == [line for lines in said for line in lines]


async def test_who_spoke_may_go_while_a_fan_out_is_under_way(held_up: HeldUp) -> None:
    chat, alice, bob, _, release = held_up
    await bob.say("two")
    await chat.settled()
    bob.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    release()
    await alice.hears("alice: one", "bob: two", "* bob left")


async def test_who_begins_with_a_line_that_is_too_long_is_not_listened_to(chat: Chat) -> None:
    alice = await chat.join("alice")
    eve = chat.connect_silently()
    await eve.say(f"POST /{'a' * 5000} HTTP/1.1", "eve", "stop")
    assert (await eve.rest())[-1] == "* that is not a name; please connect again"
    await alice.say("nobody came")
    await alice.hears("alice: nobody came")


async def test_a_line_that_is_too_long_and_comes_with_a_name_is_only_not_taken(virtual_time: object) -> None:
    async with running(config={"server": {"max_line_bytes": 100}}) as chat:
        alice = await chat.connect()
        await alice.say("alice", "x" * 200)
        assert (await alice.next_line() or "").startswith("* welcome, alice")
        await alice.hears("* not taken: a line has at most 100 bytes")


@pytest.mark.parametrize("request_line", ["POST / HTTP/1.1", "GET /chat?a=b HTTP/1.0", "PRI * HTTP/2.0"])
async def test_a_web_page_cannot_make_a_browser_say_anything(chat: Chat, request_line: str) -> None:
    alice = await chat.join("alice")
    browser = chat.connect_silently()
    await browser.say(f"{request_line}\r", "\r", "eve", "stop")
    assert (await browser.rest())[-1] == "* this is a chat server, not a web server; connect with nc"
    await alice.say("POST / HTTP/1.1")  # from a client that has joined, this is a line like any other
    await alice.hears("alice: POST / HTTP/1.1")


async def test_the_name_of_who_is_still_being_asked_for_it_is_not_taken_from_others(virtual_time: object) -> None:
    class Picky:
        @hookimpl
        def on_join(self, client: Client) -> Refuse | None:
            return Refuse("alice is not for you") if client.address == "10.0.0.7" else None

    async with running([Picky]) as chat:
        mallory = await chat.connect("10.0.0.7")
        await mallory.say("alice")
        await mallory.hears("* alice is not for you; try another name")
        await chat.join("alice")
        mallory.hang_up()
        await chat.settled()
        assert [client.name for client in chat.server.members()] == ["alice"]


async def test_two_who_want_one_name_at_the_same_time_do_not_both_get_it(virtual_time: object) -> None:
    class Slow:
        @hookimpl
        async def on_join(self) -> None:
            await trio.sleep(1)

    async with running([Slow]) as chat:
        people = [await chat.connect() for _ in range(2)]
        for person in people:
            await person.say("alice")
        answers = sorted([await person.next_line() or "" for person in people])
        assert answers[0] == "* the name 'alice' is taken; try another name"
        assert answers[1].startswith("* welcome, alice")


async def test_a_full_house_is_not_listed_whole(chat: Chat) -> None:
    for number in range(NAMES_SHOWN + 3):
        await chat.join(f"user{number}")
    alice = await chat.connect()
    await alice.say("alice")
    *_, welcome = await alice.hears_up_to("* welcome, ")
    assert f"user{NAMES_SHOWN - 1} and 3 more;" in welcome


class Greeter:
    """Greets everyone in both hooks that report a join, and refuses the name mallory."""

    @hookimpl
    def on_join(self, client: Client) -> Refuse | None:
        client.send(f"hello, {client.name}")
        self._server = client.server
        return Refuse("not you") if client.name == "mallory" else None

    @hookimpl
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        joined = {message.sender for message in messages if message.kind == "joined"}
        for client in self._server.clients:
            if client.name in joined:
                client.send("and the others know, too")


class Hinting:
    """Has a command for everyone, one for operators, and one without a hint."""

    @command("dice", help="roll dice", hint="dice rolls")
    def dice(self, client: Client) -> None: ...

    @command("ban", help="keep somebody out", who=operators, hint="/ban keeps people out")
    def ban(self, client: Client) -> None: ...

    @command("quiet", help="say nothing")
    def quiet(self, client: Client) -> None: ...


@pytest.mark.parametrize(
    ("address", "hints"),
    [
        ("192.168.4.7", ["/help shows the commands", "bye leaves", "dice rolls"]),
        ("127.0.0.1", ["/ban keeps people out", "/help shows the commands", "bye leaves", "dice rolls"]),
    ],
    ids=["somebody", "an operator"],
)
async def test_the_welcome_ends_with_the_hints_of_commands_that_one_may_give(
    virtual_time: object, address: str, hints: list[str]
) -> None:
    async with running([Hinting()]) as chat:
        alice = await chat.join("alice", address=address)
        assert alice.heard[-1].split("; ")[3:] == hints


async def test_the_welcome_has_no_hint_of_a_command_that_is_not_there(virtual_time: object) -> None:
    off = {name: {"enabled": False} for name in ("bye", "commands", "chat_log")}
    async with running(config={"plugins": off}) as chat:
        alice = await chat.join("alice")
        assert alice.heard[-1] == "* welcome, alice; you are the first here"


async def test_what_is_sent_at_the_joining_follows_the_welcome(virtual_time: object) -> None:
    async with running([Greeter()]) as chat:
        await chat.join("bob")
        alice = chat.connect_silently()
        await alice.say("alice", "bye")
        _, history, welcome, *greetings, _ = await alice.rest()
    assert history.endswith("* bob joined")
    assert welcome.startswith("* welcome, alice; here: bob; ")
    assert greetings == ["* hello, alice", "* and the others know, too"]


async def test_what_is_sent_to_who_may_not_have_a_name_comes_before_the_refusal(virtual_time: object) -> None:
    async with running([Greeter()]) as chat:
        alice = await chat.connect()
        await alice.say("mallory", "alice")
        await alice.hears("* hello, mallory", "* not you; try another name")
        assert (await alice.next_line() or "").startswith("* welcome, alice; ")
        await alice.hears("* hello, alice", "* and the others know, too")


async def test_a_message_that_a_plugin_changed_is_what_everyone_sees(virtual_time: object) -> None:
    class Polite:
        @hookimpl
        def on_message(self, message: Message) -> Message:
            return message.with_text(message.text.replace("damn", "darn\x1b[5m\n"))

    async with running([Polite]) as chat:
        alice = await chat.join("alice")
        await alice.say("damn it")
        await alice.hears("alice: darn", "alice:  it")


async def test_while_the_disk_is_full_who_joins_is_refused_and_who_is_here_stays(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await chat.join("alice")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("trichat_plugins._log_file.os.write", full)
        bob = await chat.connect()
        await bob.say("bob")
        assert (await bob.rest())[-1] == "* refused: the plugin 'chat_log' failed"
        await alice.say("hello")
        await alice.hears("* not sent: the plugin 'chat_log' failed")
    await alice.say("hello again")
    await alice.hears("alice: hello again")
    await chat.join("bob")
    await alice.hears("* bob joined")


async def test_an_error_in_the_server_ends_one_connection_and_not_the_server(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chatting = Session._chat

    async def broken(self: Session, calls: Calls) -> None:
        if self.connection.name == "alice":
            raise ZeroDivisionError("a bug")
        await chatting(self, calls)

    monkeypatch.setattr(Session, "_chat", broken)
    bob = await chat.join("bob")
    alice = await chat.connect()
    await alice.say("alice")
    assert (await alice.rest())[-1] == "* an error in the server; please connect again"
    await bob.hears("* alice joined", "* alice left")
    assert "a bug" in caplog.text


async def test_a_server_that_stops_waits_only_a_moment_for_who_does_not_close(virtual_time: object) -> None:
    async with running() as chat:
        alice = await chat.join("alice")
        chat.server.stop()
        assert await alice.rest() == ["* the server is stopping"]
        assert not chat.transports[0].closed
        await trio.sleep(1.5)  # of virtual time
        assert chat.transports[0].closed


class Careless:
    """Passes something other than a string where a string is required."""

    def __init__(self, hook: str) -> None:
        self._hook = hook

    @hookimpl
    def on_connect(self) -> Refuse | None:
        return Refuse(None) if self._hook == "on_connect" else None  # type: ignore[arg-type]

    @hookimpl
    def on_join(self) -> Refuse | None:
        return Refuse(None) if self._hook == "on_join" else None  # type: ignore[arg-type]

    @hookimpl
    def on_message(self, client: Client) -> None:
        client.kick(ValueError("enough"))  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", ["on_connect", "on_join"])
async def test_a_refusal_without_a_reason_lets_nobody_in(virtual_time: object, hook: str) -> None:
    async with running([Careless(hook)]) as chat:
        alice = chat.connect_silently()
        await alice.say("alice", "bye")
        heard = await alice.rest(patience=60)
        assert any("the plugin 'careless' failed" in line for line in heard)
        assert not any(line.startswith("* welcome, ") for line in heard)


async def test_who_is_kicked_with_an_exception_leaves_like_anyone(virtual_time: object) -> None:
    async with running([Careless("")]) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        assert await alice.rest() == ["* enough"]
        await chat.join("alice")


async def test_a_plugin_cannot_change_who_a_client_is(chat: Chat) -> None:
    await chat.join("alice")
    (client,) = chat.server.members()
    for attribute in ("name", "room", "address"):
        with pytest.raises(AttributeError):
            setattr(client, attribute, "mallory")


async def test_a_chunk_full_of_commands_does_not_hold_the_others_up(chat: Chat) -> None:
    alice, mallory = await chat.join("alice"), await chat.join("mallory")
    await alice.hears("* mallory joined")
    await mallory.say(*["/who"] * 500)
    await alice.say("hello")
    await alice.hears("alice: hello")
    answers = 0
    while "alice: hello" not in (await mallory.next_line() or ""):
        answers += 1
    assert answers < 500


@pytest.mark.parametrize("line", [b" \n", b"\x01\n"])
async def test_a_chunk_full_of_blank_lines_does_not_hold_the_others_up(chat: Chat, line: bytes) -> None:
    alice, mallory = await chat.join("alice"), await chat.join("mallory")
    await alice.hears("* mallory joined")
    # Trio wakes tasks in any order, so one round in the right order may be chance.
    for _ in range(10):
        await mallory.send(line * 500 + b"end\n")
        await alice.say("hello")
        await alice.hears("alice: hello", "mallory: end")


class Duel:
    """The first client that says "out with you" kicks all others. It can also block a batch."""

    def __init__(self) -> None:
        self.asked_after_the_end: list[str] = []
        self.held = trio.Event()

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        if any(message.text == "hold" for message in messages):
            await self.held.wait()

    @hookimpl(tryfirst=True)
    def on_message(self, client: Client, message: Message) -> None:
        if client.ended:
            self.asked_after_the_end.append(message.text)
        if message.text == "out with you":
            for other in client.server.clients:
                if other is not client:
                    other.kick("out")


async def test_nobody_is_asked_about_who_has_ended(virtual_time: object) -> None:
    duel = Duel()
    async with running([duel]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await chat.settled()
        await alice.say("out with you")
        await bob.say("out with you")
        await chat.settled()
        assert duel.asked_after_the_end == []
        assert len(chat.server.clients) == 1


async def test_nobody_is_asked_about_who_has_ended_while_both_waited_for_a_fan_out(virtual_time: object) -> None:
    duel = Duel()
    async with running([duel]) as chat:
        alice, bob = await chat.join("alice"), await chat.join("bob")
        await alice.say("hold")
        await chat.settled()
        await alice.say("one")
        await bob.say("two")
        await chat.settled()
        await alice.say("out with you")
        await bob.say("out with you")
        await chat.settled()
        duel.held.set()
        await chat.settled()
        assert duel.asked_after_the_end == []
        assert len(chat.server.clients) == 1
