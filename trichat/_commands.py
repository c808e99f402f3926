"""Slash commands, as plugins contribute them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trichat._errors import PluginError

if TYPE_CHECKING:
    from trichat._client import Client


@dataclass(frozen=True)
class Command:
    """A line that begins with `/name`: `run(client, arguments)` is called with what follows, stripped."""

    name: str
    """Without the slash."""
    help: str
    """What it does, in a few words."""
    run: "Callable[[Client, str], Awaitable[None] | None]"
    arguments: str = ""
    """What may follow, for people to read: `[NAME]`."""

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"/{self.name} {self.arguments}".rstrip()


def command_table(contributions: Iterable[tuple[str, Iterable[Command]]]) -> Mapping[str, Command]:
    """Return all commands by name. Raises `PluginError` if two plugins have the same one."""
    table: dict[str, Command] = {}
    owners: dict[str, str] = {}
    for plugin, commands in contributions:
        if not isinstance(commands, Iterable):
            raise PluginError(f"plugin {plugin!r} contributes {commands!r} instead of its commands")
        for command in commands:
            if command.name in table:
                raise PluginError(
                    f"plugins {owners[command.name]!r} and {plugin!r} both have the command /{command.name}"
                )
            table[command.name] = command
            owners[command.name] = plugin
    return table
