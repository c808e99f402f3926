"""Lets everyone kick. Bad: it assumes that it is asked about its own action alone."""

from trichat import Client, hookimpl


class Kicks:
    @hookimpl
    def permits(self, client: Client, action: str) -> bool:
        return {"kick": True}[action]
