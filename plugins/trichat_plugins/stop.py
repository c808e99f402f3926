"""`stop`, alone on a line, stops the server, if the client is allowed to."""

from typing import Annotated

from trichat import Client, Handled, Message, Network, Options, Refuse, command, hookimpl


class StopOptions(Options, frozen=True):
    """The table `[plugins.stop]`."""

    allow: Annotated[
        tuple[Network, ...],
        'Addresses and networks from which people may stop the server; for everyone: ["0.0.0.0/0", "::/0"].',
    ] = (Network("127.0.0.0/8"), Network("::1"))


class Stop:
    """Lets clients stop the server: by default, those on its own machine."""

    def __init__(self, options: StopOptions) -> None:
        self._options = options

    @hookimpl
    def on_join(self, client: Client) -> Refuse | None:
        """Keep an impatient `stop` from becoming a name."""
        return Refuse("give a name first, and then say stop") if client.name == "stop" else None

    @hookimpl
    def on_rename(self, name: str) -> Refuse | None:
        """Keep names away with which nobody could come back."""
        return Refuse("stop stops the server, so it is not a name") if name == "stop" else None

    # First, so that a plugin that refuses messages, or is broken, cannot keep anyone from stopping the server.
    @hookimpl(tryfirst=True)
    def on_message(self, client: Client, message: Message) -> Handled | None:
        """Stop the server if the client says `stop`."""
        if message.text.strip() != "stop" or not message.bare:
            return None
        refusal = client.server.refusal(client, "stop")
        if refusal is None:
            self._stop(client)
        else:
            client.send(refusal.reason)
        return Handled()

    @command("stop", help="stop the server (stop without the slash works, too)", action="stop", group="server")
    def _stop(self, client: Client) -> None:
        client.server.stop(f"stopped by {client.name}")

    @hookimpl
    def permits(self, client: Client, action: str) -> bool | Refuse | None:
        """Judge clients of the line protocol by their address. On other fronts, it may be that of a proxy."""
        if action != "stop" or client.front != "line":
            return None
        if any(client.address in network for network in self._options.allow):
            return True
        allowed = ", ".join(map(str, self._options.allow)) or "nowhere"
        return Refuse(f"you may not stop the server from {client.address}, only from {allowed}")
