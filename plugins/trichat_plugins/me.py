"""`/me waves` tells the room what one does."""

from trichat import Client, Refuse, Room, command


class Me:
    """Lets people tell what they do."""

    @command("me", help="tell the room what you do: /me waves", group="talk")
    async def me(self, client: Client, here: Room, text: str) -> Refuse | None:
        """Say it like any message: plugins are asked about it."""
        said = await client.say(text, here, kind="did")
        return said if isinstance(said, Refuse) else None
