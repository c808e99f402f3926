"""`bye`, alone on a line, leaves the chat; `/quit TEXT` also says why."""

from trichat import Client, Handled, Message, Refuse, command, hookimpl


class Bye:
    """Lets a client leave with a goodbye."""

    @hookimpl
    def on_join(self, client: Client) -> Refuse | None:
        """Let a client leave that has not given a name."""
        if client.name != "bye":
            return None
        client.kick("goodbye")
        return Refuse("goodbye")

    @hookimpl
    def on_rename(self, name: str) -> Refuse | None:
        """Keep names away with which nobody could come back."""
        return Refuse("bye leaves the chat, so it is not a name") if name == "bye" else None

    # First, so that a plugin that refuses messages, or is broken, cannot keep anyone from leaving.
    @hookimpl(tryfirst=True)
    def on_message(self, client: Client, message: Message) -> Handled | None:
        """Let the client leave if it says `bye`."""
        if message.text.strip() != "bye" or not message.bare:
            return None
        self._leave(client)
        return Handled()

    @command("bye", help="leave the chat (bye without the slash works, too)", hint="bye leaves", group="server")
    def _leave(self, client: Client) -> None:
        client.kick(f"goodbye, {client.name}")

    @command("quit", help="leave the chat, and say why", group="server")
    async def _quit(self, client: Client, reason: str = "") -> None:
        await client.quit(reason)
