"""`/help` tells about commands, and `/who` about people."""

from collections import defaultdict
from textwrap import wrap

from trichat import Client, Command, Person, Refuse, Room, command, suggestion

NAMES_PER_LINE = 20

# Characters of the reason why somebody is away: enough to see when to come back. `/msg` shows all of it.
LONGEST_AWAY = 40

# Columns of the smallest common terminal, without the `* ` in front of a notice.
WIDTH = 78


class Commands:
    """Tells about commands and people."""

    @command("help", help="show the commands, or all about one", hint="/help shows the commands", group="server")
    def help(self, client: Client, here: Room, command: str = "") -> str | Refuse:
        """List the commands that the client may give, or tell about one."""
        commands = client.server.commands
        permitted = [each for each in commands.values() if each.refusal(client, here) is None]
        name = command.removeprefix("/")
        if not name:
            return _listed(permitted)
        if name in commands:
            return _described(commands[name], commands[name].refusal(client, here))
        nearest = suggestion(f"/{name}", [f"/{each.name}" for each in permitted])
        return Refuse(f"there is no command /{name}{nearest}", "usage")

    @command("who", help="show who is in your room, or in another one", group="people")
    def who(self, client: Client, here: Room, room: str = "") -> str | Refuse:
        """List the people, `NAMES_PER_LINE` in each line."""
        server = client.server
        if not (room or here):
            return Refuse("you are in no room", "not_in_room")
        found = server.find_room(room or here)
        if found is None:
            return Refuse(f"there is no room {room!r}{suggestion(room, server.rooms)}", "no_such_room")
        names = [_shown(person) for person in server.members(found)]
        lines = [", ".join(names[start : start + NAMES_PER_LINE]) for start in range(0, len(names), NAMES_PER_LINE)]
        return f"{'here' if found == here else f'in {found}'}: " + "\n".join(lines)


def _listed(commands: list[Command]) -> str:
    """Return a line for each group of commands, or a few, with all names in one column and all usages in another."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for each in sorted(commands, key=lambda each: each.name):
        groups[each.group].append(each.usage.replace(" ", "\xa0"))  # it stays on one line
    column = max(map(len, groups)) + 2
    lines = [
        line.replace("\xa0", " ")
        for group in sorted(groups)
        for line in wrap(
            "  ".join(groups[group]),
            WIDTH,
            initial_indent=f"{group:{column}}",
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )
    ]
    return "\n".join([*lines, "/help NAME tells more about one of them"])


def _described(command: Command, refusal: Refuse | None) -> str:
    more = [f"group: {command.group}", f"plugin: {command.plugin}"]
    if command.secret:
        more.append("what you type after it is kept secret")
    if refusal is not None:
        more.append(refusal.reason)
    return f"{command.usage} - {command.help}\n{'; '.join(more)}"


def _shown(person: Person) -> str:
    connections = len(person.clients)
    about = [f"{connections} connections"] if connections > 1 else []
    if person.away:
        is_long = len(person.away) > LONGEST_AWAY
        about.append(f"away: {person.away[: LONGEST_AWAY - 3] + '...' if is_long else person.away}")
    return f"{person.name} ({', '.join(about)})" if about else person.name
