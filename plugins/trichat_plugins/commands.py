"""Slash commands: runs the ones that plugins contribute, and has `/help` and `/who`."""

import inspect
import logging
import re
from collections.abc import Awaitable, Iterable

from trichat import Client, Command, Handled, Message, Refuse, hookimpl

logger = logging.getLogger("trichat.commands")

# A word behind the slash, so that a pasted path or comment (/etc/hosts, // and /* ... */) is still text; and what has
# a space in front is always text.
_COMMAND = re.compile(r"/([a-z][a-z0-9-]*)(?:\s+(.*))?", re.DOTALL)

NAMES_PER_LINE = 20


class Commands:
    """Runs slash commands."""

    @hookimpl
    def on_message(self, client: Client, message: Message) -> Awaitable[Handled | Refuse] | Refuse | None:
        """Run the command, if the message is one."""
        # Nearly no message is: so only a command is awaited, and has a deadline to be set.
        typed = _COMMAND.fullmatch(message.text.rstrip())
        if typed is None:
            return None
        name, arguments = typed.groups("")
        command = client.server.commands.get(name)
        if command is None:
            return Refuse(f"there is no command /{name}; /help shows those there are, a space in front makes it text")
        return _run(command, client, arguments)

    @hookimpl
    def commands(self) -> Iterable[Command]:
        """`/help` and `/who`."""
        return [
            Command("help", "show all commands, or what one does", _help, arguments="[COMMAND]"),
            Command("who", "show who is here", _who),
        ]


async def _run(command: Command, client: Client, arguments: str) -> Handled | Refuse:
    try:
        answer = command.run(client, arguments)
        if inspect.isawaitable(answer):
            await answer
    except Exception:
        # The command is to blame, and not this plugin, which only runs it.
        logger.exception("plugin %r failed in /%s", command.plugin, command.name)
        return Refuse(f"/{command.name} of the plugin {command.plugin!r} failed")
    return Handled()


def _help(client: Client, arguments: str) -> None:
    commands = client.server.commands
    name = arguments.removeprefix("/")
    if name and name not in commands:
        client.send(f"there is no command /{name}")
        return
    shown = [commands[name]] if name else [commands[each] for each in sorted(commands)]
    client.send("\n".join(f"{command.usage} - {command.help}" for command in shown))


def _who(client: Client, _: str) -> None:
    names = [member.name for member in client.server.members(client.room)]
    lines = [", ".join(names[start : start + NAMES_PER_LINE]) for start in range(0, len(names), NAMES_PER_LINE)]
    client.send("here: " + "\n".join(lines))
