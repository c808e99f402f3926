"""Writes the names of visitors to a file. Bad: nobody closes the file."""

from trichat import Client, hookimpl


class Visitors:
    def __init__(self) -> None:
        self._file = open("visitors.txt", "a")  # noqa: SIM115

    @hookimpl
    def on_join(self, client: Client) -> None:
        self._file.write(f"{client.name}\n")
