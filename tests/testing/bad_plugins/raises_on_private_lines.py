"""Lets people tell each other things only within a room. Bad: a person may be in several, so it has no `room`."""

from typing import Any

from trichat import Client, Refuse, hookimpl


class Walls:
    @hookimpl
    def on_tell(self, client: Client, other: Any) -> Refuse | None:
        return None if other.room == client.room else Refuse(f"{other.name} is in another room")
