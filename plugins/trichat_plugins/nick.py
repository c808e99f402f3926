"""`/nick NAME` takes another name."""

from trichat import Client, Refuse, command


class Nick:
    """Lets people change their name."""

    @command("nick", help="take another name", group="people")
    async def nick(self, client: Client, name: str) -> Refuse | None:
        """Take the name, if it is free; everyone who shares a room is told."""
        return await client.rename(name)
