"""Private lines: `/msg NAME TEXT` tells one person something that nobody else sees."""

from trichat import Client, Message, Refuse, Server, command


class Msg:
    """Lets people talk in private."""

    @command(
        "msg", "NAME TEXT", help="tell one person something; a name of several words ends with a colon", group="talk"
    )
    async def msg(self, client: Client, text: str) -> str | Refuse | None:
        """Tell it, and say what was told: a plugin may have changed it."""
        name, words = _split(client.server, text)
        told = await client.tell(name, words)
        if not isinstance(told, Message):
            return told
        other = client.server.find(told.about)
        away = f"\n{other.name} is away: {other.away}" if other is not None and other.away else ""
        return f"you to {told.about}: {told.text}{away}"


def _split(server: Server, text: str) -> tuple[str, str]:
    """Return the name and the words: `Alice Liddell: hello`, or `alice hello`."""
    before, colon, after = text.partition(":")
    is_name = before == before.rstrip() and (" " not in before or server.find(before) is not None)
    if colon and is_name:
        return before, after.strip()
    name, _, words = text.partition(" ")
    return name, words.strip()
