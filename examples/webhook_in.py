"""Says in a room what other programs post: the end of a build, an alarm, a commit.

It needs `pip install h11`, which speaks HTTP and leaves the sockets to Trio.
Run it with `trichat serve --plugin examples/webhook_in.py`, and say in `trichat.toml` where it listens:

    [plugins.webhook_in]
    port = 8024

Then `curl -d 'the build is green' http://127.0.0.1:8024/` says so, and so does `{"text": "..."}` as application/json.
"""

import hmac
import ipaddress
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import h11
import msgspec
import trio

from trichat import LOBBY, ConfigError, Message, Meta, Options, Server, hookimpl

logger = logging.getLogger("trichat.webhook_in")

Headers = Sequence[tuple[str, str]]

# Bytes of a body; seconds for a request, and as many for its answer; connections at a time, the next is closed at once.
LARGEST, PATIENCE, MOST = 16_384, 10, 20


class WebhookInOptions(Options, frozen=True):
    """The table `[plugins.webhook_in]`."""

    port: Annotated[int, Meta(ge=-1, le=65535), "The TCP port; 0 picks a free one, and -1 is none: it is off."] = -1
    host: Annotated[str, Meta(min_length=1), "The address to listen on; any but a loopback needs a token."] = (
        "127.0.0.1"
    )
    token: Annotated[str, Meta(pattern=r"^[!-~]*$"), "Required as `Authorization: Bearer TOKEN`, unless empty."] = ""
    room: Annotated[str, "The room in which it is said."] = LOBBY


class Post(msgspec.Struct):
    """What is posted as JSON; whatever else is in it does not matter."""

    text: str


class Refused(Exception):
    """The answer to a request that is not good: a status, and why."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.headers = status, list(headers.items())


class WebhookIn:
    """A server of HTTP, in a nursery of its lifespan. Each connection is a task there, and has one request."""

    def __init__(self, options: WebhookInOptions) -> None:
        self._options = options
        self._connections = 0
        if not options.token and not _is_loopback(options.host):
            raise ConfigError([f"token: it has to be set, because others can reach {options.host!r}"])
        try:
            Message("", room=options.room)
        except ValueError as error:
            raise ConfigError([f"room: {error}"]) from error

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Listen as long as the server runs. An address that cannot be had refuses the start."""
        async with trio.open_nursery() as nursery:
            if self._options.port != -1:
                serve = partial(trio.serve_tcp, partial(self._serve, server), host=self._options.host)
                for listener in await nursery.start(serve, self._options.port):
                    logger.info("listens on %s, port %d", *listener.socket.getsockname()[:2])
            yield
            nursery.cancel_scope.cancel()

    async def _serve(self, server: Server, stream: trio.abc.HalfCloseableStream) -> None:
        connection = h11.Connection(h11.SERVER)
        self._connections += 1
        try:
            async with stream:
                if self._connections > MOST:
                    return
                answer = await self._answer(server, connection, stream)
                with trio.move_on_after(PATIENCE):
                    await stream.send_all(answer)
                    await stream.send_eof()
                    # What is closed before all was read is reset, and the answer is lost on its way.
                    async for _ in stream:
                        pass
        except trio.BrokenResourceError:
            pass  # it has hung up
        finally:
            self._connections -= 1

    async def _answer(self, server: Server, connection: h11.Connection, stream: trio.abc.HalfCloseableStream) -> bytes:
        """Do what is asked, and return the bytes of the answer."""
        try:
            with trio.fail_after(PATIENCE):
                self._say(server, *await self._request(connection, stream))
            return _response(connection, 204)
        except Refused as refused:
            return _response(connection, refused.status, str(refused), refused.headers)
        except h11.RemoteProtocolError as error:
            return _response(connection, error.error_status_hint, str(error))
        except trio.TooSlowError:
            return _response(connection, 408, f"a request has {PATIENCE} seconds")
        except trio.WouldBlock:
            return _response(connection, 503, "the chat is busy")

    async def _request(self, connection: h11.Connection, stream: trio.abc.ReceiveStream) -> tuple[str, bytes]:
        """Read a request: the type of its body, and the body."""
        headers, body = dict[bytes, bytes](), b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(LARGEST)))
            elif isinstance(event, h11.Request):
                headers = dict(event.headers)
                self._admit(event, headers)
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                raise trio.BrokenResourceError  # it has ended before it began
            if len(body) > LARGEST or int(headers.get(b"content-length", b"0")) > LARGEST:
                raise Refused(413, f"a body has at most {LARGEST} bytes")
        return headers.get(b"content-type", b"").decode("latin-1"), body

    def _admit(self, request: h11.Request, headers: dict[bytes, bytes]) -> None:
        """Refuse whatever can be refused before the body has come."""
        if request.method != b"POST":
            raise Refused(405, "" if request.method == b"HEAD" else "this takes POST", Allow="POST")
        given, needed = headers.get(b"authorization", b""), f"Bearer {self._options.token}".encode()
        # In a time that does not tell how much of it was right.
        if self._options.token and not hmac.compare_digest(given, needed):
            raise Refused(401, "this takes a token: Authorization: Bearer TOKEN", **{"WWW-Authenticate": "Bearer"})
        if b"origin" in headers:  # any page can post to the loopback of whoever reads it
            raise Refused(403, "pages in a browser may not")
        if request.target != b"/":
            raise Refused(404, "there is only /")

    def _say(self, server: Server, kind: str, body: bytes) -> None:
        try:
            is_json = kind.partition(";")[0].strip().lower() == "application/json"
            text = msgspec.json.decode(body, type=Post).text if is_json else body.decode()
        except (ValueError, RecursionError) as error:
            raise Refused(400, str(error)) from error
        text = Message(text).text.strip()  # what of it is printable, on one line
        if not text:
            raise Refused(400, "there is nothing to say")
        if len(text.encode()) > server.options.max_line_bytes:
            raise Refused(413, f"a text has at most {server.options.max_line_bytes} bytes, as any line here")
        server.say_nowait(self._options.room, text)


def _response(connection: h11.Connection, status: int, reason: str = "", headers: Headers = ()) -> bytes:
    body = f"{reason}\n".encode() if reason else b""
    described = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", f"{len(body)}")] if body else []
    response = h11.Response(status_code=status, headers=[("Connection", "close"), *described, *headers])
    return (connection.send(response) or b"") + body


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
