"""Messages to a URL: posted in order, tried again, left out where the queue is full, and never waited for."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from process_kit import PATIENCE

from trichat import ConfigError
from trichat.testing import Chat, cancel_everywhere, running

pytest.importorskip("h11", reason="tested with h11, which the group `test` has")
pytest.importorskip("httpcore", reason="tested with httpcore, which the group `test` has")
pytest.importorskip("trustme", reason="tested with trustme, which the group `test` has")

import h11
import trustme

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook_out.py"
URL = "http://hook.example:8000/chat?key=1"
HANG, BREAK = "hang", "break"

Answer = int | str | OSError


class Line(trio.abc.Stream):
    """A connection to the endpoint, in memory: it answers when a whole request has come."""

    def __init__(self, answer: Answer, taken: list["Request"]) -> None:
        self._answer = answer
        self._taken = taken
        self._connection = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""
        self._reply = b""
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._connection.receive_data(bytes(data))
        while (event := self._connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                self._taken.append(Request(self._request, self._body))
                if isinstance(self._answer, int):
                    response = h11.Response(status_code=self._answer, headers=[("Content-Length", "1000000000")])
                    self._reply = self._connection.send(response) or b""

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._answer == BREAK:
            raise trio.BrokenResourceError
        if not self._reply:
            await trio.sleep_forever()
        reply, self._reply = self._reply, b""
        return reply

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


class Request:
    """What was posted, and when."""

    def __init__(self, request: h11.Request, body: bytes) -> None:
        self.time = trio.current_time()
        self.line = (request.method, request.target)
        self.headers = dict(request.headers)
        self.message: dict[str, object] = json.loads(body)


class Endpoint:
    """Where messages are posted: it answers as told, one answer for each connection, and then always with the last."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [204]
        self.lines: list[Line] = []
        self.called: list[tuple[str, int]] = []
        self.taken: list[Request] = []

    async def open_tcp_stream(self, host: str, port: int, **_: object) -> Line:
        await trio.lowlevel.checkpoint()
        self.called.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        self.lines.append(Line(answer, self.taken))
        return self.lines[-1]

    @property
    def texts(self) -> list[object]:
        return [request.message["text"] or request.message["sentence"] for request in self.taken]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    endpoint = Endpoint()
    monkeypatch.setattr(trio, "open_tcp_stream", endpoint.open_tcp_stream)
    return endpoint


@pytest.fixture
def chat_plugins() -> list[Path]:
    return [EXAMPLE]


@pytest.fixture
def chat_config() -> dict[str, dict[str, object]]:
    return config()


def config(**options: object) -> dict[str, dict[str, object]]:
    return {"plugins": {"webhook_out": {"url": URL, **options}}}


async def say(chat: Chat, lines: Iterable[str]) -> None:
    alice = await chat.join("alice")
    await alice.say(*lines)
    await alice.hears(*[f"alice: {line}" for line in lines])


# 1. What is posted


@pytest.mark.chat(plugins=[EXAMPLE], config=config(token="s3cret"))
async def test_what_is_said_is_posted_as_json(endpoint: Endpoint, chat: Chat) -> None:
    await say(chat, ["grüß dich"])
    await chat.settled()
    [request] = endpoint.taken
    assert endpoint.called == [("hook.example", 8000)]
    assert request.line == (b"POST", b"/chat?key=1")
    assert request.headers[b"host"] == b"hook.example:8000"
    assert request.headers[b"content-type"] == b"application/json"
    assert request.headers[b"authorization"] == b"Bearer s3cret"
    id, time = request.message.pop("id"), request.message.pop("time")
    assert isinstance(id, int)
    assert str(time).endswith("+00:00")
    assert request.message == {
        "rooms": ["lobby"],
        "kind": "said",
        "sender": "alice",
        "text": "grüß dich",
        "about": "",
        "sentence": "alice: grüß dich",
    }


async def test_messages_come_in_their_order_and_each_connection_is_closed(endpoint: Endpoint, chat: Chat) -> None:
    lines = [str(number) for number in range(20)]
    await say(chat, lines)
    await chat.settled()
    assert endpoint.texts == lines
    assert all(line.closed for line in endpoint.lines)


@pytest.mark.chat(plugins=[EXAMPLE], config=config(kinds=["joined", "notice"]))
async def test_the_kinds_are_chosen(endpoint: Endpoint, chat: Chat) -> None:
    await say(chat, ["hello"])
    await chat.server.say("lobby", "lunch")
    await chat.settled()
    assert endpoint.texts == ["alice joined", "lunch"]


@pytest.mark.chat(plugins=[EXAMPLE], config={})
async def test_without_a_url_nothing_is_posted(endpoint: Endpoint, chat: Chat) -> None:
    await say(chat, ["hello"])
    await chat.settled()
    assert endpoint.called == []


@pytest.mark.parametrize(
    "url", ["hook.example", "ftp://hook.example", "http://a b", "http://hook.example:no", "http://:80/"]
)
async def test_what_is_no_url_is_a_fault_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"plugins\.webhook_out[.:] ?url: "):
        async with running([EXAMPLE], config(url=url)):
            pass


# 2. Trying again


async def test_who_is_down_broken_or_slow_is_tried_again_later(
    endpoint: Endpoint, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers = [OSError("nobody there"), 500, HANG, BREAK, 429, 200]
    await say(chat, ["one", "two"])
    begun = trio.current_time()
    await trio.sleep(60)
    assert endpoint.texts == ["one", "one", "one", "one", "one", "two"]
    # Pauses of 1, 2, 4, 8 and 16 seconds, and 10 for the answer that never came.
    assert [round(request.time - begun) for request in endpoint.taken] == [1, 3, 17, 25, 41, 41]
    assert len({request.message["id"] for request in endpoint.taken}) == 2
    assert caplog.messages == [
        f"the webhook did not accept a message, next try in {problem}"
        for problem in (
            "1 s: nobody there",
            "2 s: it answered 500",
            "4 s: no answer in time",
            "8 s: BrokenResourceError",
            "16 s: it answered 429",
        )
    ]


@pytest.mark.parametrize("status", [301, 400, 403, 404])
async def test_what_is_refused_is_not_tried_again(
    endpoint: Endpoint, chat: Chat, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    endpoint.answers = [status, 204]
    await say(chat, ["one", "two"])
    await chat.settled()
    assert endpoint.texts == ["one", "two"]
    [line] = caplog.messages
    assert line.endswith(f"giving up: it answered {status}")


async def test_a_message_that_is_never_taken_does_not_hold_up_the_others_for_ever(
    endpoint: Endpoint, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers = [*[500] * 8, 204]
    await say(chat, ["one", "two"])
    begun = trio.current_time()
    await trio.sleep(100)
    assert endpoint.texts == ["one"] * 8 + ["two"]
    assert round(endpoint.taken[-1].time - begun) == 1 + 2 + 4 + 8 + 16 + 30 + 30
    assert caplog.messages[-1].endswith("giving up: it answered 500")


# 3. The queue


@pytest.mark.chat(plugins=[EXAMPLE], config=config(queue=3, timeout=5))
async def test_what_does_not_fit_into_the_queue_is_counted_and_nobody_waits(
    endpoint: Endpoint, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers = [HANG, 204]
    begun = trio.current_time()
    await say(chat, [str(number) for number in range(10)])
    assert trio.current_time() - begun < 1
    await trio.sleep(10)
    assert endpoint.texts == ["0", "0", "1", "2"]
    assert caplog.messages[-1] == "the webhook is too slow: 7 messages were dropped"
    await chat.server.clients[0].server.say("lobby", "not asked for")
    await chat.settled()
    assert len(endpoint.taken) == 4


# 4. The end


async def test_what_still_waits_at_the_end_is_delivered_if_that_is_quick(
    endpoint: Endpoint, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers = [HANG, 204]
    async with running([EXAMPLE], config()) as chat:
        await say(chat, ["one", "two"])
    assert endpoint.texts == ["one", "one", "two"]
    assert caplog.messages == []


async def test_the_server_ends_soon_and_says_what_is_not_delivered(
    endpoint: Endpoint, virtual_time: object, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.answers = [HANG]
    async with running([EXAMPLE], config()) as chat:
        await say(chat, ["one", "two"])
        begun = trio.current_time()
    assert trio.current_time() - begun < 2
    assert caplog.messages == ["2 messages were not delivered before the stop"]
    assert all(line.closed for line in endpoint.lines)


def test_it_survives_a_cancellation_anywhere(endpoint: Endpoint) -> None:
    async def scenario(chat: Chat) -> None:
        endpoint.answers = [500, 204]
        await say(chat, ["hello"])
        await trio.sleep(2)

    cancel_everywhere(scenario, plugins=[EXAMPLE], config=config(), targets=["hook", "lifespan", "server"])
    assert all(line.closed for line in endpoint.lines)


# 5. Over sockets


async def answer(stream: trio.abc.Stream, *, heard: list[bytes], called: trio.Event) -> None:
    async with stream:
        with suppress(trio.BrokenResourceError):  # who does not trust us hangs up
            heard.append(bytes(await stream.receive_some()))
            await stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")
    called.set()


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_is_verified(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority, heard, called = trustme.CA(), list[bytes](), trio.Event()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with trio.open_nursery() as nursery:
        handler = partial(answer, heard=heard, called=called)
        serve = partial(trio.serve_ssl_over_tcp, handler, 0, context, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        port = listener.transport_listener.socket.getsockname()[1]
        async with running([EXAMPLE], config(url=f"https://localhost:{port}/")) as chat:
            await say(chat, ["hello"])
            with trio.fail_after(PATIENCE):
                await called.wait()
        nursery.cancel_scope.cancel()
    if trusted:
        assert heard[0].startswith(b"POST / HTTP/1.1\r\n")
        assert caplog.messages == []
    else:
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.messages[0]
        assert heard == []


def test_asyncio_is_not_imported() -> None:
    program = """if True:
        import runpy, sys, httpcore, trio
        plugin = runpy.run_path(sys.argv[1])
        async def main():
            async with httpcore.AsyncConnectionPool() as pool:
                try:
                    await pool.request("POST", "http://127.0.0.1:1/")
                except plugin["_FAULTS"] as error:
                    print(plugin["_reason"](error))
        trio.run(main)
        print("asyncio" in sys.modules)
    """
    command = [sys.executable, "-c", program, str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    reason, imported = done.stdout.splitlines()
    assert reason == "all attempts to connect to 127.0.0.1:1 failed"
    assert imported == "False"
