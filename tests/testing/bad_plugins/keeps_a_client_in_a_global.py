"""Tells who spoke last. Bad: it keeps the client in a global, which outlives the server."""

from trichat import Client, Message, command, hookimpl

last_speakers: dict[str, Client] = {}


@hookimpl
def on_message(client: Client, message: Message) -> None:
    last_speakers[message.room] = client


@command("last", help="tell who spoke last")
def last(client: Client) -> str:
    speaker = last_speakers.get(client.room)
    return f"it was {speaker.name}" if speaker else "nobody has spoken here"
