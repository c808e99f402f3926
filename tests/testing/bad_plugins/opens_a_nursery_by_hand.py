"""Asks a bot to vouch for each client. Bad: it opens a nursery by hand and never closes it."""

import trio

from trichat import Client, hookimpl


class Vouch:
    @hookimpl
    async def on_join(self, client: Client) -> None:
        manager = trio.open_nursery()
        nursery = await manager.__aenter__()
        nursery.start_soon(trio.sleep, 1)
