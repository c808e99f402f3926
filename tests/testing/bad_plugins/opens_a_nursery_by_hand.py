"""Waits for a bot to vouch for who joins. Bad: it asks in a nursery that it opens by hand and never closes."""

import trio

from trichat import Client, hookimpl


class Vouch:
    @hookimpl
    async def on_join(self, client: Client) -> None:
        manager = trio.open_nursery()
        nursery = await manager.__aenter__()
        nursery.start_soon(trio.sleep, 1)
