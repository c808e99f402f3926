"""Greets newcomers. Bad: two servers in one process share what it knows."""

from trichat import Client, hookimpl

known: set[str] = set()


@hookimpl
def on_join(client: Client) -> None:
    if client.name not in known:
        known.add(client.name)
        client.send("nice to meet you")
