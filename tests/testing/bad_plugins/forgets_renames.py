"""Counts the seconds that people spend here. Bad: it keeps them under their names, which may change."""

import time

from trichat import Client, hookimpl


class Hours:
    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._total = 0.0

    @hookimpl
    def on_join(self, client: Client) -> None:
        self._since[client.name] = time.monotonic()

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        if client.name:
            self._total += time.monotonic() - self._since.pop(client.name)
