"""Greets newcomers. Bad: it never awaits the coroutine of `say`, so nobody hears it."""

from trichat import Client, hookimpl


class Greeter:
    @hookimpl
    def on_join(self, client: Client) -> None:
        client.server.say("lobby", f"say hello to {client.name}")  # type: ignore[unused-coroutine]
