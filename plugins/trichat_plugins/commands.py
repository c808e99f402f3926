"""`/help` and `/who`."""

from trichat import Client, command

NAMES_PER_LINE = 20


class Commands:
    """Tells about commands and people."""

    @command("help", help="show all commands, or what one does", hint="/help shows the commands")
    def help(self, client: Client, command: str = "") -> str:
        """List the commands, each with its help."""
        commands = client.server.commands
        name = command.removeprefix("/")
        if name and name not in commands:
            return f"there is no command /{name}"
        shown = [commands[name]] if name else [commands[each] for each in sorted(commands)]
        return "\n".join(f"{each.usage} - {each.help}" for each in shown if name or each.refusal(client) is None)

    @command("who", help="show who is here")
    def who(self, client: Client) -> str:
        """List the names, `NAMES_PER_LINE` in each line."""
        names = [member.name for member in client.server.members(client.room)]
        lines = [", ".join(names[start : start + NAMES_PER_LINE]) for start in range(0, len(names), NAMES_PER_LINE)]
        return "here: " + "\n".join(lines)
