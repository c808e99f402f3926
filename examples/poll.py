"""A poll in a room: `/poll Lunch? pizza, soup` starts it, `/vote soup` votes, `/poll` shows the result so far.

The person who asked and operators may end it with `/endpoll`. Each name has one vote, and voting again changes it.
Run it with `trichat serve --plugin examples/poll.py`.
"""

from collections import Counter
from dataclasses import dataclass, field

from trichat import Client, NameDict, Room, command

# Options that fit on a line, and votes that the server remembers.
MOST_OPTIONS, MOST_VOTES = 10, 1000


@dataclass
class Running:
    """A poll that is open."""

    asker: str
    question: str
    options: list[str]
    votes: NameDict[str] = field(default_factory=lambda: NameDict(limit=MOST_VOTES))

    def __str__(self) -> str:
        counted = Counter(self.votes.values())
        return f"{self.question} {', '.join(f'{option}: {counted[option]}' for option in self.options)}"


class Poll:
    """One poll at a time in each room. Polls do not survive a restart."""

    def __init__(self) -> None:
        self._polls: dict[str, Running] = {}

    @command("poll", "[QUESTION? OPTION, OPTION ...]", help="start a poll, or see the result so far")
    async def poll(self, client: Client, here: Room, text: str = "") -> str | None:
        """Start a poll, or answer with the state of the open one."""
        running = self._polls.get(here)
        if running is not None:
            return f"{running} (/endpoll ends it)" if text else str(running)
        question, mark, rest = text.partition("?")
        options = list(dict.fromkeys(filter(None, map(str.strip, rest.split(",")))))
        if not question.strip() or not mark or not 2 <= len(options) <= MOST_OPTIONS:
            return f"ask like this, with 2 to {MOST_OPTIONS} options: /poll Lunch? pizza, soup"
        # Store it before awaiting anything, so that nobody else can start one in between.
        self._polls[here] = Running(client.name, f"{question.strip()}?", options)
        await client.server.say(here, f"{client.name} asks: {question.strip()}? /vote {' | '.join(options)}")
        return None

    @command("vote", help="vote in the poll of the room")
    def vote(self, client: Client, here: Room, option: str) -> str:
        """Count a vote; upper and lower case do not matter."""
        poll = self._polls.get(here)
        if poll is None:
            return "there is no poll; start one with /poll Lunch? pizza, soup"
        chosen = next((each for each in poll.options if each.casefold() == option.casefold()), None)
        if chosen is None:
            return f"{option!r} is not an option; vote for one of: {', '.join(poll.options)}"
        if client.name not in poll.votes and len(poll.votes) >= MOST_VOTES:
            return f"the poll is full: it has {MOST_VOTES} votes already"
        poll.votes[client.name] = chosen
        return f"you have voted for {chosen}"

    @command("endpoll", help="end the poll of the room, and show everyone the result")
    async def end(self, client: Client, here: Room) -> str | None:
        """End the poll, if the client may do that."""
        poll = self._polls.get(here)
        if poll is None:
            return "there is no poll"
        if client.server.find(poll.asker) is not client.person and not client.may("operate", here):
            return f"only {poll.asker} and operators may end it"
        del self._polls[here]
        await client.server.say(here, f"the poll has ended: {poll}")
        return None
