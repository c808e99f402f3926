"""Counts words. Bad: the hook has no argument `text`."""

from trichat import Client, hookimpl


class WordCount:
    @hookimpl
    def on_message(self, client: Client, text: str) -> None:
        client.send(f"{len(text.split())} words")
