"""Says the message of the day. Bad: on a reload it assumes that the file exists."""

from pathlib import Path

from trichat import Client, hookimpl


class Motd:
    def __init__(self) -> None:
        self._text = "welcome"

    @hookimpl
    def on_reload(self) -> None:
        self._text = Path("motd.txt").read_text()

    @hookimpl
    def on_join(self, client: Client) -> None:
        client.send(self._text)
