"""A poll in a room: `/poll Lunch? pizza, soup` asks, `/vote soup` answers, `/poll` tells how it stands.

`/endpoll` is for who asked and for operators. A vote belongs to a name; who votes again has changed his mind.
Run it with `trichat serve --plugin examples/poll.py`.
"""

from collections import Counter
from dataclasses import dataclass, field

from trichat import Client, command

# What still fits on a line, and on the server.
MOST_OPTIONS, MOST_VOTES = 10, 1000


@dataclass
class Running:
    """A poll that is under way."""

    asker: str
    question: str
    options: list[str]
    votes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        counted = Counter(self.votes.values())
        return f"{self.question} {', '.join(f'{option}: {counted[option]}' for option in self.options)}"


class Poll:
    """One poll at a time in each room; it is forgotten when the server stops."""

    def __init__(self) -> None:
        self._polls: dict[str, Running] = {}

    @command("poll", "[QUESTION? OPTION, OPTION ...]", help="ask the room, or see how the poll stands")
    async def poll(self, client: Client, text: str = "") -> str | None:
        """Begin a poll, or tell of the one that is running."""
        running = self._polls.get(client.room)
        if running is not None:
            return f"{running} (/endpoll ends it)" if text else str(running)
        question, mark, rest = text.partition("?")
        options = list(dict.fromkeys(filter(None, map(str.strip, rest.split(",")))))
        if not question.strip() or not mark or not 2 <= len(options) <= MOST_OPTIONS:
            return f"ask like this, with 2 to {MOST_OPTIONS} options: /poll Lunch? pizza, soup"
        # Before anything is awaited: nobody else begins one in between.
        self._polls[client.room] = Running(client.name, f"{question.strip()}?", options)
        await client.server.say(client.room, f"{client.name} asks: {question.strip()}? /vote {' | '.join(options)}")
        return None

    @command("vote", help="vote in the poll of the room")
    def vote(self, client: Client, option: str) -> str:
        """Take a vote, however the option is written."""
        poll = self._polls.get(client.room)
        if poll is None:
            return "there is no poll; /poll Lunch? pizza, soup begins one"
        chosen = next((each for each in poll.options if each.casefold() == option.casefold()), None)
        if chosen is None:
            return f"{option!r} is none of: {', '.join(poll.options)}"
        voter = client.name.casefold()
        if voter not in poll.votes and len(poll.votes) >= MOST_VOTES:
            return f"{MOST_VOTES} votes are all that fit"
        poll.votes[voter] = chosen
        return f"you have voted for {chosen}"

    @command("endpoll", help="end the poll of the room, and tell everyone how it went")
    async def end(self, client: Client) -> str | None:
        """End it for who may."""
        poll = self._polls.get(client.room)
        if poll is None:
            return "there is no poll"
        if client.name.casefold() != poll.asker.casefold() and not client.is_operator:
            return f"only {poll.asker} and operators may end it"
        del self._polls[client.room]
        await client.server.say(client.room, f"the poll has ended: {poll}")
        return None
