"""A front for tests of the server: what a client asks for is any request, and what it is sent can be read."""

import math
from collections.abc import Iterable, Iterator, Sequence

from trichat import Message, Refuse
from trichat.fronts import Limits, Outcome, Request, RoomView
from trichat.testing import Chat, Person


class ScriptWire:
    """Shows messages as their sentences, each after its rooms."""

    def __init__(self, *, echoes: bool = True) -> None:
        self.echoes = echoes

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Return a line for each message."""
        return b"".join(map(self._line, messages))

    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:
        """Return a line for each message."""
        return b"".join(b"past " + self._line(message) for message in messages)

    def _line(self, message: Message) -> bytes:
        where = ",".join(message.rooms) if message.kind not in ("quit", "renamed") else "-"
        return f"{where or message.about or '*'}> {message.sentence()}\n".encode()


class ScriptDialogue:
    """Each line has the number of a request."""

    in_one_room = False
    names_shown = None
    patience = math.inf

    def __init__(self, front: "ScriptFront") -> None:
        self.wire = front.wire
        self._requests = front.requests

    def greeting(self) -> bytes:
        """Return a line."""
        return b"hello\n"

    def receive(self, data: bytes) -> Iterator[Request]:
        """Return the requests."""
        return (self._requests[int(line)] for line in data.split())

    def idle(self) -> Iterable[Request]:
        """Return nothing."""
        return ()

    def entered(self, view: RoomView) -> bytes:
        """Show what there is to know about a room."""
        topic = f" about {view.topic}" if view.topic else ""
        return f"entered {view.room}{topic} as {view.name} with {', '.join(view.others) or 'nobody'}\n".encode()

    def answered(self, request: Request, outcome: Outcome) -> bytes:
        """Show what came of a request."""
        what = f"{type(request).__name__}{request.label}"
        if isinstance(outcome, Refuse):
            return f"{what}: {outcome.code}: {outcome.reason}\n".encode()
        texts = [message.text for message in outcome.messages]
        more = " and more" if outcome.has_more else ""
        page = f" {texts}{more}" if texts or more else ""
        return f"{what}: ok{' with an id' if outcome.id else ''}{page} {outcome.text}".rstrip().encode() + b"\n"

    def farewell(self, reason: str) -> bytes:
        """Show the reason."""
        return f"bye: {reason}\n".encode()


class ScriptFront:
    """A front whose clients may be in several rooms."""

    name = "script"

    def __init__(self, wire: ScriptWire | None = None) -> None:
        self.wire = wire or ScriptWire()
        self.requests: list[Request] = []

    def dialogue(self, limits: Limits) -> ScriptDialogue:
        """Return the conversation with a new client."""
        return ScriptDialogue(self)

    async def connect(self, chat: Chat, *requests: Request) -> Person:
        """Connect somebody who asks for something."""
        person = chat.connect_silently(front=self)
        await person.hears("hello")
        await self.ask(person, *requests)
        return person

    async def ask(self, person: Person, *requests: Request) -> None:
        """Let somebody ask for something."""
        begin = len(self.requests)
        self.requests += requests
        await person.send("".join(f"{number}\n" for number in range(begin, len(self.requests))).encode())
