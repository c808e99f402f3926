"""The seam between a protocol and the rest of the server: what a front is made of.

A front is a way in: the line protocol, a browser, a protocol of your own. It has no I/O. It turns bytes into requests
and messages into bytes, and knows nothing of sockets, tasks or the hub; the server knows nothing of what a line looks
like.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from trichat._base.messages import Message, Refuse
from trichat._fronts.requests import Request


class Limits(msgspec.Struct, frozen=True):
    """What the server's configuration says about the requests of a client."""

    max_line_bytes: int


class RoomView(msgspec.Struct, frozen=True):
    """A room, as somebody finds it who has just entered it."""

    room: str
    name: str
    """The client's own name."""
    topic: str
    """What the room is about; empty if nobody has said."""
    others: Sequence[str]
    """The names of others who are here: all, or as many as `Dialogue.names_shown`."""
    count: int
    """How many others are here."""
    keeps_history: bool
    """Whether what is said here is kept."""
    hints: Sequence[str]
    """What the client may want to know, such as `/help shows the commands`."""
    last_id: int
    """The id up to which the history goes: the client is sent live what comes after it."""


class Answer(msgspec.Struct, frozen=True):
    """What a request is answered with when it was carried out."""

    text: str = ""
    """Lines for the client; empty if there is nothing to say."""
    id: int = 0
    """The id of the message that a request with a label has said; 0 for all others."""
    messages: Sequence[Message] = ()
    """The page that `Past` asked for, oldest first."""
    has_more: bool = False
    """Whether there is more between the two ids than this page."""


Outcome = Answer | Refuse
"""What came of a request."""


class Wire(Protocol):
    """How messages look in bytes. All clients with the same capabilities share one object, and so the same bytes.

    Its methods must not block: they run in the task that sends to everyone. If one raises, the clients that would have
    got these bytes are disconnected.
    """

    @property
    def echoes(self) -> bool:
        """Whether clients are sent what they say themselves."""

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Encode live messages, in order.

        A message without a room is for this client alone: a private line, with the client's name in `about`, or a
        `notice` of the server. A client is not told that it has joined itself: `Dialogue.entered` says so.
        """

    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:
        """Encode messages of the past of `room`, in order, each with its date and time."""


class Dialogue(Protocol):
    """The conversation with one client, from its first byte to its last.

    Its methods run in the client's own task, and must not block. If one raises, that client is disconnected.
    """

    @property
    def wire(self) -> Wire:
        """How this client is sent messages."""

    @property
    def in_one_room(self) -> bool:
        """Whether a client is in one room at a time, so that entering another one means leaving it."""

    @property
    def names_shown(self) -> int | None:
        """How many names `entered` can do with at most; `None` for all of them."""

    def greeting(self) -> bytes:
        """Return what a client is sent when it has connected and may stay."""

    def receive(self, data: bytes) -> Iterable[Request]:
        """Take what arrived, and return what it completes. `b""`, once or more, says that nothing more will come.

        Each request is carried out and answered before the next one is taken out of the iterable.
        """

    def idle(self) -> Iterable[Request]:
        """Return what is complete now that the client has sent nothing for `patience` seconds."""

    @property
    def patience(self) -> float:
        """For how many seconds of silence to wait before calling `idle`; `math.inf` if it has nothing to complete."""

    def entered(self, view: RoomView) -> bytes:
        """Return what the client is sent when it has entered a room, after the history of that room."""

    def answered(self, request: Request, outcome: Outcome) -> bytes:
        """Return what the client is sent about what came of a request.

        A request that lets the client into a room is answered after `entered`.
        """

    def farewell(self, reason: str) -> bytes:
        """Return the last words."""


class Front(Protocol):
    """A protocol. A listener carries one, and uses it for all of its connections."""

    @property
    def name(self) -> str:
        """One word for it: what `client.front` says."""

    def dialogue(self, limits: Limits) -> Dialogue:
        """Return the conversation with a new client."""
