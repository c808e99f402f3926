"""Logs how long a client stayed. Bad: another plugin may refuse the client before this one has seen it connect."""

import logging
import time

from trichat import Client, hookimpl

logger = logging.getLogger("trichat.stay")


class Stay:
    def __init__(self) -> None:
        self._since: dict[Client, float] = {}

    @hookimpl
    def on_connect(self, client: Client) -> None:
        self._since[client] = time.monotonic()

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        logger.info("%s stayed for %.0f s", client, time.monotonic() - self._since.pop(client))
