"""Counts visitors in a thread. Bad: nothing ends the thread."""

import threading
from queue import SimpleQueue

from trichat import Client, hookimpl


class Visitors:
    def __init__(self) -> None:
        self.count = 0
        self._names = SimpleQueue[str]()
        threading.Thread(target=self._work, name="visitors", daemon=True).start()

    @hookimpl
    def on_join(self, client: Client) -> None:
        self._names.put(client.name)

    def _work(self) -> None:
        while self._names.get():
            self.count += 1
