"""Rooms: `/join` enters one, and `/rooms` lists them. A room is there as long as somebody is in it."""

from trichat import LOBBY, Client, Refuse, command


class Rooms:
    """Lets people talk in rooms of their own."""

    @command("join", help="enter a room; it is made if it is not there", group="rooms")
    async def join(self, client: Client, room: str = LOBBY, key: str = "") -> Refuse | None:
        """Enter a room, and leave the present one. Plugins may ask for a key."""
        return await client.enter(room, key)

    @command("rooms", help="show the rooms: how many people are in each, and its topic", group="rooms")
    def rooms(self, client: Client) -> str:
        """List the rooms in the order of the alphabet."""
        server = client.server
        topics = {topic.room: f": {topic.text}" for topic in server.topics}
        return "\n".join(f"{room} ({len(server.members(room))}){topics.get(room, '')}" for room in sorted(server.rooms))
