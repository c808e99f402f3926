"""Private lines: `/msg NAME TEXT` tells one person something that nobody else sees."""

from trichat import Client, Message, Refuse, Server, command

USAGE = "usage: /msg NAME TEXT"

# Words that a name may have. More than one is rare, and the longest name has 32 characters.
MOST_WORDS = 6


class Msg:
    """Lets people talk in private."""

    @command("msg", "NAME TEXT", help="tell one person something that nobody else sees", group="talk")
    async def msg(self, client: Client, text: str) -> str | Refuse | None:
        """Tell it, and say what was told: a plugin may have changed it."""
        found = _split(client.server, text)
        if isinstance(found, Refuse):
            return found
        told = await client.tell(*found)
        if not isinstance(told, Message):
            return told
        other = client.server.find(told.about)
        lines = [f"you to {told.about}: {line}" for line in told.text.split("\n")]
        if other is not None and other.away:
            lines.append(f"{other.name} is away: {other.away}")
        return "\n".join(lines)


def _split(server: Server, text: str) -> tuple[str, str] | Refuse:
    """Return the name and what to tell: `alice hello`, `Alice Liddell hello` or `Alice Liddell: hello`."""
    before, colon, after = text.partition(":")
    if colon and before and before == before.rstrip() and (" " not in before or server.find(before) is not None):
        return (before, after.strip()) if after.strip() else Refuse(USAGE, "usage")
    words = text.split(maxsplit=MOST_WORDS)
    names = [" ".join(words[:count]) for count in range(1, len(words))]
    people = {person: name for name in names if (person := server.find(name)) is not None}
    if len(people) > 1:
        # A guess could tell the wrong person a secret.
        return Refuse(f"{' or '.join(person.name for person in people)}? put a colon after the name", "usage")
    name = next(iter(people.values()), words[0])
    rest = text.split(maxsplit=len(name.split()))[len(name.split()) :]
    return (name, rest[0]) if rest else Refuse(USAGE, "usage")
