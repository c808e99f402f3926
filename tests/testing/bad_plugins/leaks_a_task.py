"""Reminds each client of the rules after a week. Bad: nobody owns the task that does it."""

import trio

from trichat import Client, hookimpl

RULES = "be kind"


class Rules:
    @hookimpl
    def on_join(self, client: Client) -> None:
        client.send(RULES)
        trio.lowlevel.spawn_system_task(self._remind, client)

    async def _remind(self, client: Client) -> None:
        await trio.sleep(7 * 24 * 3600)
        client.send(f"still: {RULES}")
