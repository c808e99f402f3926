"""`/away [TEXT]` tells people who look for one why nobody answers."""

from trichat import Client, Refuse, command


class Away:
    """Lets people say that they are away."""

    @command("away", help="say why you are away; without a text, that you are back", group="people")
    async def away(self, client: Client, text: str = "") -> str | Refuse:
        """Note it: `/who` and `/msg` show it."""
        if not text and not client.person.away:
            return "you are not away; /away TEXT says why you are"
        refusal = await client.set_away(text)
        if refusal is not None:
            return refusal
        away = client.person.away
        return f"you are away: {away}" if away else "you are back"
