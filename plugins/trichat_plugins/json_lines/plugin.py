"""The plugin: a port for clients that speak JSON lines."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from trichat import Listener, Meta, Options, Server, TcpListener, hookimpl
from trichat_plugins.json_lines.front import JsonFront


class JsonLinesOptions(Options, frozen=True):
    """The table `[plugins.json_lines]`."""

    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | Literal["next"],
        'The TCP port; 0 picks a free one, and "next" takes the one after the server\'s port, if nobody else has it.',
    ] = "next"

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:  # noqa: ARG003 - it needs no file
        """Pick a free port."""
        return {"port": 0}


class JsonLines:
    """Lets bots and programs chat in JSON lines."""

    def __init__(self, options: JsonLinesOptions) -> None:
        self._port = options.port
        self._listeners: Sequence[TcpListener] = ()

    @hookimpl
    def listeners(self, server: Server) -> Iterable[Listener]:
        """Listen on a port of its own; by default next to each TCP port of the server."""
        front, seconds = JsonFront(), server.options.send_timeout
        if self._port != "next":
            self._listeners = [TcpListener(server.options.host, self._port, front, seconds)]
        else:
            ports = [(each.host, each.port) for each in server.listeners if isinstance(each, TcpListener)]
            ports = [(host, port + 1 if 0 < port < 65535 else 0) for host, port in ports]
            self._listeners = [TcpListener(host, port, front, seconds, required=False) for host, port in ports]
        return self._listeners

    @hookimpl
    def announcements(self) -> Iterable[str]:
        """Say where that is."""
        for listener in self._listeners:
            where = ", ".join(map(str, listener.addresses))
            yield f"JSON lines: {where or 'none; the log says why'}"
