"""Says goodbye. Bad: there is no hook `on_leave`."""

from trichat import Client, hookimpl


class Goodbye:
    @hookimpl
    def on_leave(self, client: Client) -> None:
        client.send("goodbye")
