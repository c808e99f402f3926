"""The servers to compare: how each one starts, and which of them are installed."""

import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bench import peers
from bench.build import BENCHMARKS, build

Command = list[str | Path]
Tables = Mapping[str, Mapping[str, object]]

FLOOR = "floor"
BARE = "bare Python"
TRICHAT = "trichat"
JSON_LINES = "trichat, JSON lines"


@dataclass(frozen=True)
class Server:
    """A server that can be started."""

    name: str
    version: str
    command: Callable[[Path, int], Command]
    """Takes a folder, in which it may create files, and a port; returns the command."""
    wire: str = "line"
    burst: int = 500
    """How many clients may join at a time, unless the row wants all of them at once."""
    one_order: bool = True
    """Whether all members of a room see all messages in the same order, and not only those of each sender."""


def python() -> str:
    """Return the version and the origin of this Python. How it was built matters as much as its version."""
    return f"Python {platform.python_version()}{' of the system' if sys.base_prefix == '/usr' else ''}"


def trichat(name: str = TRICHAT, **plugins: Mapping[str, object]) -> Server:
    """Return trichat with all built-in plugins and its log. Only the limits, and the options in `plugins`, are not the
    defaults.
    """
    tables: Tables = {
        "server": {"host": "127.0.0.1", "max_clients": 30_000, "max_clients_per_address": 30_000},
        **{f"plugins.{plugin}": options for plugin, options in plugins.items()},
    }

    def command(folder: Path, port: int) -> Command:
        (folder / "trichat.toml").write_text("".join(_toml(tables)))
        return [sys.executable, "-m", "trichat", "serve", "--port", str(port)]

    return Server(name, f"{version('trichat')}, {python()}, trio {version('trio')}", command)


def json_lines() -> Server:
    """Return the same server, with clients that speak JSON lines. The line protocol has some other port."""

    def command(folder: Path, port: int) -> Command:
        return trichat(json_lines={"port": port}).command(folder, 0)

    return replace(trichat(JSON_LINES), command=command, wire="json")


def _toml(tables: Tables) -> Iterator[str]:
    for name, options in tables.items():
        yield f"[{name}]\n"
        for key, value in options.items():
            yield f"{key} = {json.dumps(value)}\n"  # for these values JSON is the same as TOML


def _floor(_: Path, port: int) -> Command:
    return [build("floor"), str(port)]


def _script(name: str) -> Callable[[Path, int], Command]:
    return lambda _, port: [sys.executable, BENCHMARKS / name, str(port)]


OURS = {
    server.name: server
    for server in (
        trichat(),
        trichat("trichat, fsync always", chat_log={"fsync": "always"}),
        trichat("trichat, replay all", chat_log={"replay": "all"}),
        json_lines(),
        Server(FLOOR, "benchmarks/floor.c, cc -O2", _floor),
        Server(BARE, f"benchmarks/bare.py, {python()}", _script("bare.py")),
        Server("obvious", f"benchmarks/obvious.py, trio {version('trio')}", _script("obvious.py"), one_order=False),
    )
}

PEERS = tuple(peers.PEERS)


def find_servers() -> tuple[dict[str, Server], list[str]]:
    """Return the installed servers by name, and the names of the missing peers."""
    found = dict(OURS)
    absent = []
    for name, peer in peers.PEERS.items():
        program = peer.find()
        if program is None:
            absent.append(name)
        else:
            found[name] = Server(name, peer.version(program), peer.commands(program), wire="irc", burst=peer.burst)
    return found, absent
