"""Slash commands, as plugins contribute them."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trichat._errors import PluginError

if TYPE_CHECKING:
    from trichat._client import Client

_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Command:
    """A line that begins with `/name`: `run(client, arguments)` is called with what follows, stripped."""

    name: str
    """Without the slash: small letters, digits and hyphens."""
    help: str
    """What it does, in a few words."""
    run: "Callable[[Client, str], Awaitable[None] | None]"
    arguments: str = ""
    """What may follow, for people to read: `[NAME]`."""
    plugin: str = ""
    """Whose it is; the server fills it in."""

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"/{self.name} {self.arguments}".rstrip()


def command_table(contributions: Iterable[tuple[str, Iterable[Command]]]) -> Mapping[str, Command]:
    """Return all commands by name. Raises `PluginError` if two plugins have the same one."""
    table: dict[str, Command] = {}
    for plugin, contribution in contributions:
        for command in _commands(plugin, contribution):
            other = table.get(command.name)
            if other is not None:
                raise PluginError(f"plugins {other.plugin!r} and {plugin!r} both have the command /{command.name}")
            table[command.name] = replace(command, plugin=plugin)
    return table


def _commands(plugin: str, contribution: Iterable[Command]) -> Iterable[Command]:
    try:
        commands = list(contribution)
    except Exception as error:
        raise PluginError(f"plugin {plugin!r} failed in commands: {error!r}") from error
    for command in commands:
        if not isinstance(command, Command) or not _NAME.fullmatch(command.name):
            raise PluginError(
                f"plugin {plugin!r} contributes {command!r}; a command has a name like 'roll' or 'roll-2'"
            )
    return commands
