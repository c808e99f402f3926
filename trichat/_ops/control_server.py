"""The control socket: the user that runs the server asks it what it is doing, and has it reload.

A client sends one line: the name of a request and its words, quoted as in a shell. It receives lines until the
connection ends. Each begins with its kind:

    = TEXT      a line of the answer
    ! SENTENCE  a failure
    .           the end; an answer without it was cut off

No line contains terminal escape sequences.
"""

import logging
import shlex
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import trio

from trichat._base.errors import PluginError
from trichat._base.messages import Refuse
from trichat._base.task_tree import task_lines
from trichat._base.text import printable
from trichat._chat.core import Core
from trichat._net.unix_socket import unix_socket
from trichat._ops.plugin_requests import PluginRequests
from trichat._ops.reloader import Reloader

logger = logging.getLogger("trichat.control")

# Clients at a time: enough for a few people and a monitor. As many may wait to be accepted.
MAX_CLIENTS = 16

# The longest request, in bytes.
MAX_REQUEST = 4096

# Seconds within which the request must arrive, and within which a client must take what is sent to it.
REQUEST_TIMEOUT = 5.0
SEND_TIMEOUT = 60.0

# So many lines of a long answer are built and sent at a time.
LINES_AT_ONCE = 100


class Control:
    """Answers requests about a server on the Unix socket `path`: the built-in ones, and those of plugins.

    Raises `PluginError` if a plugin contributes an invalid request.
    """

    def __init__(self, path: Path, core: Core, reloader: Reloader) -> None:
        self._path = path
        self._tracer = core.tracer
        self._reloader = reloader
        self._clients = 0
        self._requests: Mapping[str, Callable[[Answer], Awaitable[None]]] = {
            "reload": self._reload,
            "tasks": self._tasks,
            "trace": self._trace,
        }
        self._of_plugins = PluginRequests(core, self._requests)

    async def serve(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen, and answer until cancelled, which also cancels the clients. Raises `StartError`."""
        remedy = "stop it, or name another socket with --control"
        with unix_socket(self._path, MAX_CLIENTS, kind="control socket", remedy=remedy) as sock:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            await trio.serve_listeners(self._talk, [listener], task_status=task_status)

    async def _talk(self, stream: trio.SocketStream) -> None:
        """Serve one client. Only cancellation is raised: no client may bring the server down."""
        self._clients += 1
        try:
            async with stream:
                await self._answer(stream)
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            logger.debug("a client of the control socket is gone: %r", error)
        except Exception:
            logger.exception("an error in the control socket")
        finally:
            self._clients -= 1

    async def _answer(self, stream: trio.SocketStream) -> None:
        answer = Answer(stream)
        if self._clients > MAX_CLIENTS:
            await answer.fail(f"too many clients: the control socket serves at most {MAX_CLIENTS} at a time; try again")
        else:
            request = await _request(stream)
            if request is None:
                await answer.fail(f"the request is too long; send at most {MAX_REQUEST} bytes")
            elif request in self._requests:
                trio.lowlevel.current_task().name = f"control {request}"
                logger.debug("the control socket is asked for: %s", request)
                await self._requests[request](answer)
            else:
                await self._ask_plugins(request, answer)
        await answer.end()

    async def _ask_plugins(self, request: str, answer: "Answer") -> None:
        try:
            verb, *words = shlex.split(request) or [""]
            result = await self._of_plugins.answer(verb, words)
            if result is None:
                verbs = ", ".join([*self._requests, *self._of_plugins.verbs()])
                result = Refuse(f"there is no request {request!r}, only: {verbs}")
        except (ValueError, PluginError) as error:
            result = Refuse(f"{request!r} cannot be answered: {error}")
        if isinstance(result, Refuse):
            await answer.fail(result.reason)
        else:
            await answer.tell(*result.splitlines())

    async def _tasks(self, answer: "Answer") -> None:
        # Building the tree of a full server takes a while. Other tasks run in between.
        lines = task_lines()
        while some := [*islice(lines, LINES_AT_ONCE)]:
            await answer.tell(*some)

    async def _reload(self, answer: "Answer") -> None:
        # The reload continues if the client goes away. The deadlines of the hooks limit how long it takes.
        reload = self._reloader.ask()
        await reload.done.wait()
        await answer.tell(*reload.news)
        if reload.failures:
            await answer.fail(*reload.failures)
        else:
            await answer.tell("reloaded")

    async def _trace(self, answer: "Answer") -> None:
        with self._tracer.watching() as watcher:
            asked = ", ".join(self._tracer.asked) or "no plugin"
            await answer.tell(f"watching; asked about each message, in this order: {asked}")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_at_end, answer.stream, nursery.cancel_scope)
                while True:
                    # One message at a time: under load the watcher falls behind, and not the server.
                    await answer.tell(*await watcher.next())


class Answer:
    """Sends an answer to one client.

    Its methods raise `BrokenResourceError` if the client is gone, and `TooSlowError` if it does not read.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream

    async def tell(self, *lines: str) -> None:
        """Send lines of the answer."""
        await self._send("".join(f"= {printable(line)}\n" for line in lines))

    async def fail(self, *sentences: str) -> None:
        """Send failures, a sentence each."""
        await self._send("".join(f"! {printable(sentence)}\n" for sentence in sentences))

    async def end(self) -> None:
        """Send the end of the answer."""
        await self._send(".\n")

    async def _send(self, text: str) -> None:
        with trio.fail_after(SEND_TIMEOUT):
            await self.stream.send_all(text.encode())


async def _request(stream: trio.SocketStream) -> str | None:
    """Receive a line and return it, or `None` if it is too long. The end of the stream also ends the line."""
    received = b""
    with trio.fail_after(REQUEST_TIMEOUT):
        while True:
            data = await stream.receive_some(MAX_REQUEST)
            received += data
            if not data or b"\n" in data or len(received) > MAX_REQUEST:
                break
    line = received.partition(b"\n")[0]
    return line.decode(errors="replace").strip() if len(line) <= MAX_REQUEST else None


async def _cancel_at_end(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Cancel `scope` when the client hangs up or sends anything more."""
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
    scope.cancel()
