"""Show in a room what other programs post over HTTP: the end of a build, an alarm, a commit.

It needs `pip install h11`, which parses HTTP and leaves the sockets to Trio.
Run it with `trichat serve --plugin examples/webhook_in.py`, and set its port in `trichat.toml`:

    [plugins.webhook_in]
    port = 8024

Then `curl -d 'the build is green' http://127.0.0.1:8024/` says that in the room. It also accepts `{"text": "..."}` as
application/json.
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

# Bytes of a body; seconds for a request, and the same again for its answer; connections at a time. Further connections
# are closed at once.
LARGEST, PATIENCE, MOST = 16_384, 10, 20


class WebhookInOptions(Options, frozen=True):
    """The table `[plugins.webhook_in]`."""

    port: Annotated[int, Meta(ge=-1, le=65535), "The TCP port; 0 picks a free one, and -1 turns it off."] = -1
    host: Annotated[str, Meta(min_length=1), "The address to listen on; without a token, only loopback is allowed."] = (
        "127.0.0.1"
    )
    token: Annotated[
        str, Meta(pattern=r"^[!-~]*$"), "Requests must have `Authorization: Bearer TOKEN`, unless empty."
    ] = ""
    room: Annotated[str, "The room in which posts are said."] = LOBBY


class Post(msgspec.Struct):
    """The JSON of a post. Other keys are ignored."""

    text: str


class Refused(Exception):
    """The answer to a request that is refused: a status and a reason."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.headers = status, list(headers.items())


class WebhookIn:
    """An HTTP server in the nursery of its lifespan. Each connection is a task, and takes one request."""

    def __init__(self, options: WebhookInOptions) -> None:
        self._options = options
        self._connections = 0
        if not options.token and not _is_loopback(options.host):
            raise ConfigError([f"token: set a token, because other machines can reach {options.host!r}"])
        try:
            Message("", rooms=(options.room,))
        except ValueError as error:
            raise ConfigError([f"room: {error}"]) from error

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Listen as long as the server runs. If the address cannot be used, the server does not start."""
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
                    # Closing a socket with unread data resets the connection, and the answer may be lost.
                    async for _ in stream:
                        pass
        except trio.BrokenResourceError:
            pass  # the client has hung up
        finally:
            self._connections -= 1

    async def _answer(self, server: Server, connection: h11.Connection, stream: trio.abc.HalfCloseableStream) -> bytes:
        """Handle a request, and return the bytes of the answer."""
        try:
            with trio.fail_after(PATIENCE):
                self._say(server, *await self._request(connection, stream))
            return _response(connection, 204)
        except Refused as refused:
            return _response(connection, refused.status, str(refused), refused.headers)
        except h11.RemoteProtocolError as error:
            return _response(connection, error.error_status_hint, str(error))
        except trio.TooSlowError:
            return _response(connection, 408, f"the request took longer than {PATIENCE} seconds")
        except trio.WouldBlock:
            return _response(connection, 503, "the chat is busy; try again later")

    async def _request(self, connection: h11.Connection, stream: trio.abc.ReceiveStream) -> tuple[str, bytes]:
        """Read a request, and return the type of its body and the body."""
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
                raise trio.BrokenResourceError  # the connection ended before the request
            if len(body) > LARGEST or int(headers.get(b"content-length", b"0")) > LARGEST:
                raise Refused(413, f"the body is too long; send at most {LARGEST} bytes")
        return headers.get(b"content-type", b"").decode("latin-1"), body

    def _admit(self, request: h11.Request, headers: dict[bytes, bytes]) -> None:
        """Refuse what can be refused without waiting for the body."""
        if request.method != b"POST":
            raise Refused(405, "" if request.method == b"HEAD" else "use POST", Allow="POST")
        given, needed = headers.get(b"authorization", b""), f"Bearer {self._options.token}".encode()
        # In constant time, so that the time does not reveal how much of the token was right.
        if self._options.token and not hmac.compare_digest(given, needed):
            raise Refused(401, "send the token as Authorization: Bearer TOKEN", **{"WWW-Authenticate": "Bearer"})
        if b"origin" in headers:  # any web page can post to the loopback address of its reader
            raise Refused(403, "web pages may not post here")
        if request.target != b"/":
            raise Refused(404, "post to /")

    def _say(self, server: Server, kind: str, body: bytes) -> None:
        try:
            is_json = kind.partition(";")[0].strip().lower() == "application/json"
            text = msgspec.json.decode(body, type=Post).text if is_json else body.decode()
        except (ValueError, RecursionError) as error:
            raise Refused(400, str(error)) from error
        text = Message(text).text.strip()  # only what is printable
        if not text:
            raise Refused(400, "the text is empty")
        if len(text.encode()) > server.options.max_line_bytes:
            raise Refused(413, f"the text is too long; send at most {server.options.max_line_bytes} bytes")
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
