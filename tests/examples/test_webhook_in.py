"""What other programs post is said in the room: within limits, and only by whom it is allowed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import trio
from process_kit import PATIENCE
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from trichat import ConfigError, StartError
from trichat.testing import Chat, cancel_everywhere, running

pytest.importorskip("h11", reason="tested with h11, which the group `test` has")
pytest.importorskip("httpcore", reason="tested with httpcore, which the group `test` has")

import httpcore

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook_in.py"

Stream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]
Handler = Callable[[Stream], Awaitable[object]]


class Net(trio.abc.Listener[Stream]):
    """Stands for the sockets: it is listened to as `trio.serve_tcp` is told, and connects in memory."""

    def __init__(self) -> None:
        self.listening: list[tuple[int, str]] = []
        self._send, self._receive = trio.open_memory_channel[Stream](100)
        self.socket = self

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 8024

    async def serve_tcp(self, handler: Handler, port: int, *, host: str, task_status: trio.TaskStatus[object]) -> None:
        self.listening.append((port, host))
        self._send, self._receive = trio.open_memory_channel[Stream](100)
        await trio.serve_listeners(handler, [self], task_status=task_status)

    async def accept(self) -> Stream:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()

    def connect(self) -> Stream:
        ours, theirs = memory_stream_pair()
        self._send.send_nowait(theirs)
        return ours

    async def call(self, request: bytes) -> bytes:
        """Send this, and return all of the answer."""
        async with self.connect() as stream:
            await stream.send_all(request)
            return await rest(stream)

    async def post(self, body: bytes | str, **headers: str) -> tuple[int, str]:
        """Post this, and return the status and the text of the answer."""
        answer = await self.call(posted(body, **headers))
        head, _, text = answer.partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        return int(head.split()[1]), text.decode()


async def rest(stream: trio.abc.ReceiveStream) -> bytes:
    answer = b""
    while data := await stream.receive_some():
        answer += data
    return answer


def posted(body: bytes | str, **headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    fields = {"Host": "chat", "Content-Length": len(content), **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return "".join(["POST / HTTP/1.1\r\n", *lines, "\r\n"]).encode() + content


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    net = Net()
    monkeypatch.setattr(trio, "serve_tcp", net.serve_tcp)
    return net


@pytest.fixture
def chat_plugins() -> list[Path]:
    return [EXAMPLE]


@pytest.fixture
def chat_config() -> dict[str, dict[str, object]]:
    return config()


def config(**options: object) -> dict[str, dict[str, object]]:
    return {"plugins": {"webhook_in": {"port": 8024, **options}}}


# 1. What is said


async def test_a_text_is_said_in_the_room(net: Net, chat: Chat) -> None:
    alice = await chat.join("alice")
    assert await net.post("the build is grün") == (204, "")
    await alice.hears("* the build is grün")
    assert chat.log[-1] == "* the build is grün"
    assert net.listening == [(8024, "127.0.0.1")]


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
async def test_the_text_of_json_is_said(net: Net, chat: Chat, kind: str) -> None:
    alice = await chat.join("alice")
    assert await net.post(json.dumps({"text": "grün", "id": 1}), Content_Type=kind) == (204, "")
    await alice.hears("* grün")


async def test_nothing_reaches_people_that_a_terminal_obeys(net: Net, chat: Chat) -> None:
    alice = await chat.join("alice")
    assert (await net.post("\x1b[31mred\x07\r\nalice: I owe bob 100\u202e"))[0] == 204
    assert (await net.post(r'{"text": "\u001b[2Jcleared"}', Content_Type="application/json"))[0] == 204
    await alice.hears("* red", "* alice: I owe bob 100", "* cleared")


async def test_a_request_may_come_byte_by_byte_and_in_chunks(net: Net, chat: Chat) -> None:
    alice = await chat.join("alice")
    async with net.connect() as stream:
        for (
            byte
        ) in b"POST / HTTP/1.1\r\nHost: chat\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n":
            await stream.send_all(bytes([byte]))
        assert (await rest(stream)).startswith(b"HTTP/1.1 204 ")
    await alice.hears("* hello")


# 2. What is not


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ("", "text/plain", "the text is empty"),
        (" \r\n\x1b[0m", "text/plain", "the text is empty"),
        (b"\xff", "text/plain", "can't decode byte 0xff"),
        ("{", "application/json", "truncated"),
        ("[" * 10_000, "application/json", ""),
        ('{"txt": "a"}', "application/json", "missing required field `text`"),
        ('{"text": 1}', "application/json", "Expected `str`, got `int`"),
    ],
)
async def test_what_is_no_text_is_a_bad_request(net: Net, chat: Chat, body: bytes | str, kind: str, why: str) -> None:
    alice = await chat.join("alice")
    status, text = await net.post(body, Content_Type=kind)
    assert status == 400
    assert why in text
    await alice.hears_nothing()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1", 405),
        (b"HEAD / HTTP/1.1", 405),
        (b"POST /other HTTP/1.1", 404),
        (b"hello", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many", 400),
        (b"POST / HTTP/1.1\r\nOrigin: https://evil.example", 403),
        (b"POST / HTTP/1.1\r\nLong: " + b"x" * 40_000, 431),
    ],
)
async def test_what_is_no_post_is_answered_with_its_fault(
    net: Net, chat: Chat, request_line: bytes, status: int
) -> None:
    answer = await net.call(request_line + b"\r\nHost: chat\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nAllow: POST\r\n" in answer) == (status == 405)
    assert answer.endswith(b"\r\n\r\n") == request_line.startswith(b"HEAD")


async def test_a_line_too_long_for_the_chat_is_refused(net: Net, chat: Chat) -> None:
    limit = chat.server.options.max_line_bytes
    alice = await chat.join("alice")
    assert (await net.post("x" * limit))[0] == 204
    await alice.hears(f"* {'x' * limit}")
    assert (await net.post("ü" * (limit // 2 + 1)))[0] == 413
    await alice.hears_nothing()


async def test_a_body_too_large_is_refused_before_and_while_it_comes(net: Net, chat: Chat) -> None:
    head = b"POST / HTTP/1.1\r\nHost: chat\r\n"
    announced = await net.call(head + b"Content-Length: 99999999999\r\n\r\n")
    assert announced.startswith(b"HTTP/1.1 413 ")
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    chunked = await net.call(head + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk)
    assert chunked.startswith(b"HTTP/1.1 413 ")


# 3. Who may


@pytest.mark.chat(plugins=[EXAMPLE], config=config(token="s3cret", host="0.0.0.0"))
async def test_a_token_is_required(net: Net, chat: Chat) -> None:
    alice = await chat.join("alice")
    for wrong in ({}, {"Authorization": "s3cret"}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Bearer ü"}):
        status, text = await net.post("hello", **wrong)
        assert (status, text) == (401, "send the token as Authorization: Bearer TOKEN\n")
    assert await net.post("hello", Authorization="Bearer s3cret") == (204, "")
    await alice.hears("* hello")


@pytest.mark.chat(plugins=[EXAMPLE], config=config(token="s3cret"))
async def test_the_token_is_compared_in_constant_time(net: Net, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda *both: compared.append(both))
    assert (await net.post("hello", Authorization="Bearer s3cret"))[0] == 401
    assert compared == [(b"Bearer s3cret", b"Bearer s3cret")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.4.1", "chat.example"])
async def test_others_may_reach_it_only_with_a_token(net: Net, host: str) -> None:
    with pytest.raises(ConfigError, match="token: set a token, because other machines can reach"):
        async with running([EXAMPLE], config(host=host)):
            pass
    assert net.listening == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
async def test_a_loopback_needs_none(net: Net, virtual_time: object, host: str) -> None:
    async with running([EXAMPLE], config(host=host)):
        assert net.listening == [(8024, host)]


async def test_what_cannot_be_a_room_is_a_fault_of_the_configuration(net: Net) -> None:
    with pytest.raises(ConfigError, match="room: 'two words' cannot be a room"):
        async with running([EXAMPLE], config(room="two words")):
            pass


@pytest.mark.chat(plugins=[EXAMPLE], config={})
async def test_without_a_port_nobody_listens(net: Net, chat: Chat) -> None:
    await chat.settled()
    assert net.listening == []


# 4. Limits


async def test_a_request_has_ten_seconds(net: Net, chat: Chat) -> None:
    begun = trio.current_time()
    async with net.connect() as stream:
        await stream.send_all(posted("hello")[:-1])
        assert (await rest(stream)).startswith(b"HTTP/1.1 408 ")
    assert trio.current_time() - begun == 10


async def test_who_does_not_hang_up_after_the_answer_is_hung_up_on(net: Net, chat: Chat) -> None:
    stream = net.connect()
    await stream.send_all(posted("hello"))
    assert (await rest(stream)).startswith(b"HTTP/1.1 204 ")
    await trio.sleep(10.1)
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"more")


async def test_twenty_may_be_connected(net: Net, chat: Chat) -> None:
    idle = [net.connect() for _ in range(20)]
    await chat.settled()
    assert await rest(net.connect()) == b""
    for stream in idle:
        await stream.aclose()
    await chat.settled()
    assert (await net.post("hello"))[0] == 204


async def test_a_busy_chat_is_told_of(net: Net, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(*_: object) -> None:
        raise trio.WouldBlock

    monkeypatch.setattr(chat.server, "say_nowait", is_full)
    assert await net.post("hello") == (503, "the chat is busy; try again later\n")


@pytest.mark.parametrize("sent", [b"", b"POST / HT", posted("hello")[:-1]])
async def test_who_hangs_up_leaves_nothing_behind(net: Net, chat: Chat, sent: bytes) -> None:
    stream = net.connect()
    await stream.send_all(sent)
    await stream.aclose()
    await chat.settled()
    assert (await net.post("hello"))[0] == 204


def test_it_survives_a_cancellation_anywhere(net: Net) -> None:
    async def scenario(chat: Chat) -> None:
        alice = await chat.join("alice")
        assert (await net.post("hello"))[0] == 204
        await alice.hears("* hello")

    cancel_everywhere(scenario, plugins=[EXAMPLE], config=config(), targets=["lifespan", "server"])


# 5. Over sockets


async def test_a_client_of_http_is_understood(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trichat.webhook_in")
    headers: Mapping[bytes | str, bytes | str] = {"Content-Type": "application/json"}
    with trio.fail_after(PATIENCE):
        async with running([EXAMPLE], config(port=0)) as chat, httpcore.AsyncConnectionPool() as pool:
            port = caplog.messages[0].removeprefix("listens on 127.0.0.1, port ")
            alice = await chat.join("alice")
            post = partial(pool.request, "POST", f"http://127.0.0.1:{port}/", headers=headers)
            assert (await post(content=b'{"text": "hello"}')).status == 204
            await alice.hears("* hello")
            # All of it is sent before the answer is read, and the answer arrives all the same.
            assert (await post(content=b"x" * 1_000_000)).status == 413


async def test_what_webhook_out_posts_is_said_on_another_server(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "trichat.webhook_in")
    async with running([EXAMPLE], config(port=0, token="s3cret")) as there:
        port = caplog.messages[0].removeprefix("listens on 127.0.0.1, port ")
        out = {"plugins": {"webhook_out": {"url": f"http://127.0.0.1:{port}/", "token": "s3cret"}}}
        async with running([EXAMPLE.with_name("webhook_out.py")], out) as here:
            alice, bob = await here.join("alice"), await there.join("bob")
            await alice.say("hello over there")
            await bob.hears("* hello over there")


async def test_a_port_that_is_taken_refuses_the_start() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        with pytest.raises(StartError, match=r"'webhook_in' cannot start: .*in use"):
            async with running([EXAMPLE], config(port=listener.socket.getsockname()[1])):
                pass
