"""`/topic [TEXT]` shows or sets what a room is about. Topics are kept across restarts."""

import logging
from collections.abc import AsyncIterator, Awaitable, Set
from contextlib import asynccontextmanager

from trichat import Client, Refuse, Room, Server, StorageError, command, format_log_lines, hookimpl, parse_log_line

logger = logging.getLogger("trichat.topic")

# Topics that are kept; those of rooms that nobody has come back to are forgotten first.
MOST = 1000

# The longest topic, in characters: everyone who enters the room is sent it.
LONGEST = 300


class Topic:
    """Lets people say what a room is about."""

    def __init__(self) -> None:
        self._kept: Set[str] = frozenset()
        """The rooms whose topics are in the storage."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, server: Server) -> AsyncIterator[None]:
        """Bring the topics back that the last run has left."""
        try:
            lines = await server.storage("topic").get("topics", list[str](), type=list[str])
        except StorageError as error:
            logger.error("the topics of rooms are lost: %s", error)
            lines = []
        for message in filter(None, (parse_log_line(line.encode()) for line in lines[-MOST:])):
            server.set_topic(message)
        self._kept = {topic.room for topic in server.topics}
        yield

    @hookimpl
    def on_enter(self, client: Client, room: str) -> Awaitable[None] | None:
        """Forget the topic of a room that everybody has left: who enters now sees none, and nobody shall later."""
        is_forgotten = room in self._kept and client.server.topic(room) is None
        return self._forget(client.server) if is_forgotten else None

    async def _forget(self, server: Server) -> None:
        await self._keep(server)

    @command("topic", "[TEXT]", help="show or set what the room is about; /topic - removes it", group="rooms")
    async def topic(self, client: Client, here: Room, text: str = "") -> str | Refuse | None:
        """Show the topic, or set it: plugins are asked about it like about any message."""
        server = client.server
        topic = server.topic(here)
        if text in ("", "-") and topic is None:
            return f"{here} has no topic"
        if topic is not None and text in ("", topic.text):
            return f"the topic of {here} is: {topic.text}"
        if len(text) > LONGEST:
            return Refuse(f"a topic has at most {LONGEST} characters", "too_long")
        said = await client.say("" if text == "-" else text, here, kind="topic")
        if said is None or isinstance(said, Refuse):
            return said
        server.set_topic(said)
        is_kept = await self._keep(server)
        return None if is_kept else "the topic is set, but will be lost when the server stops"

    async def _keep(self, server: Server) -> bool:
        """Store the topics that there are; return whether that was possible."""
        topics = server.topics
        self._kept = {topic.room for topic in topics}
        try:
            await server.storage("topic").set("topics", [format_log_lines([each])[:-1] for each in topics])
        except StorageError as error:
            logger.error("the topics of rooms are not kept: %s", error)
            return False
        return True
