"""Greets who has never been here. Bad: who was on another server of this process has been here, too."""

from trichat import Client, hookimpl

known: set[str] = set()


@hookimpl
def on_join(client: Client) -> None:
    if client.name not in known:
        known.add(client.name)
        client.send("nice to meet you")
