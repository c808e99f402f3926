"""Slash commands: runs those that plugins contribute, and provides `/help` and `/who`."""

import inspect
import logging
import re
from collections.abc import Awaitable

from trichat import Client, Command, Handled, Message, Refuse, command, hookimpl

logger = logging.getLogger("trichat.commands")

# A slash and one word. A pasted path or comment (/etc/hosts, // and /* ... */) is therefore still text, and so is any
# line that begins with a space.
_COMMAND = re.compile(r"/([a-z][a-z0-9-]*)(?:\s+(.*))?", re.DOTALL)

NAMES_PER_LINE = 20


class Commands:
    """Runs slash commands."""

    @hookimpl
    def on_message(self, client: Client, message: Message) -> Awaitable[Handled | Refuse] | Refuse | None:
        """Run the command, if the message is one."""
        # Nearly no message is a command. Only one that may be costs a second look and an await.
        if not message.text.startswith("/"):
            return None
        typed = _COMMAND.fullmatch(message.text.rstrip())
        if typed is None:
            return None
        name, arguments = typed.groups("")
        found = client.server.commands.get(name)
        if found is None:
            return Refuse(f"there is no command /{name}; /help shows those there are, a space in front makes it text")
        return _run(found, client, arguments)

    @command("help", help="show all commands, or what one does", hint="/help shows the commands")
    def help(self, client: Client, command: str = "") -> str:
        """List the commands, each with its help."""
        commands = client.server.commands
        name = command.removeprefix("/")
        if name and name not in commands:
            return f"there is no command /{name}"
        shown = [commands[name]] if name else [commands[each] for each in sorted(commands)]
        return "\n".join(f"{each.usage} - {each.help}" for each in shown if name or each.who.includes(client))

    @command("who", help="show who is here")
    def who(self, client: Client) -> str:
        """List the names, `NAMES_PER_LINE` in each line."""
        names = [member.name for member in client.server.members(client.room)]
        lines = [", ".join(names[start : start + NAMES_PER_LINE]) for start in range(0, len(names), NAMES_PER_LINE)]
        return "here: " + "\n".join(lines)


async def _run(command: Command, client: Client, arguments: str) -> Handled | Refuse:
    if not command.who.includes(client):
        return Refuse(f"/{command.name} is for operators")
    try:
        answer = command.run(client, arguments)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is not None:
            client.send(answer)
    except Exception as error:
        # The command is to blame, not this plugin, which only runs it. An OSError, such as a deadline, is about the
        # world, not about code.
        trace = None if isinstance(error, OSError) else error
        logger.error("plugin %r failed in /%s: %s", command.plugin, command.name, error, exc_info=trace)
        return Refuse(f"/{command.name} of the plugin {command.plugin!r} failed")
    return Handled()
