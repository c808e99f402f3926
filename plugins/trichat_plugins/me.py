"""`/me waves` tells the room what one does."""

from trichat import Client, Refuse, command


class Me:
    """Lets people tell what they do."""

    @command("me", help="tell the room what you do: /me waves", group="talk")
    async def me(self, client: Client, text: str) -> Refuse | None:
        """Say it like any message: plugins are asked about it."""
        return await client.say(text, kind="did")
