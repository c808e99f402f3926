"""Requests: what a client wants, the same on every front."""

from typing import Literal

import msgspec

from trichat._base.messages import LOBBY


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    label: str = ""
    """What the client calls the request; the answer repeats it. Empty where the front has no such thing."""


class Login(_Request, frozen=True, kw_only=False):
    """Give me this name."""

    name: str
    secret: str = ""
    """What proves that the name is the client's own."""
    room: str = LOBBY
    """The room to enter with it; empty for none."""


class Say(_Request, frozen=True, kw_only=False):
    """Say this in a room."""

    text: str
    room: str = ""
    """Empty for the room that the client speaks in."""
    kind: Literal["said", "did", "noticed"] = "said"
    reply_to: int = 0
    bare: bool = False
    """Whether it was typed alone on a line of the line protocol."""


class Tell(_Request, frozen=True, kw_only=False):
    """Say this to one person alone."""

    name: str
    text: str


class Join(_Request, frozen=True, kw_only=False):
    """Let me enter a room."""

    room: str
    key: str = ""
    """What lets people in, if the room asks for it."""
    after: int = 0
    """The id of the last message that the client knows: its history begins after it."""
    limit: int | None = None
    """The most messages of history, the newest ones; `None` for as many as the server gives."""


class Part(_Request, frozen=True, kw_only=False):
    """Let me leave a room, and stay in others."""

    room: str
    reason: str = ""
    """For the people in the room."""


class Rename(_Request, frozen=True, kw_only=False):
    """Give me another name."""

    name: str


class Away(_Request, frozen=True, kw_only=False):
    """Tell people who look for me why I am not there; an empty `text` says that I am back."""

    text: str = ""


class Past(_Request, frozen=True, kw_only=False):
    """Give me what was said in a room that I am in, between two ids."""

    room: str
    after: int = 0
    """Messages with greater ids; with 0, the page ends with the newest message instead of beginning with the oldest."""
    before: int = 0
    """Messages with smaller ids; 0 for all up to now."""
    limit: int = 100
    """The most messages in the answer."""


class Command(_Request, frozen=True, kw_only=False):
    """Run a slash command, given without its slash. `arguments` is the rest of the line, stripped."""

    name: str
    arguments: str = ""
    room: str = ""
    """The room that it is given in; empty for the one that the client speaks in."""


class Quit(_Request, frozen=True, kw_only=False):
    """Let me go."""

    reason: str = ""
    """For the people in the client's rooms."""


class Reply(_Request, frozen=True, kw_only=False):
    """Nothing is wanted: the protocol itself owes the client these bytes, at this place."""

    data: bytes


class Malformed(_Request, frozen=True, kw_only=False):
    """Something that the protocol does not allow."""

    reason: str
    """For the client: what is wrong."""
    code: Literal["too_long", "usage"] = "usage"


class Foreign(_Request, frozen=True, kw_only=False):
    """Something of another protocol: the client is disconnected, and nothing else of it is read."""

    reason: str
    """For the log and for `on_disconnect`."""
    farewell: str
    """For the client."""


Request = Login | Say | Tell | Join | Part | Rename | Away | Past | Command | Quit | Reply | Malformed | Foreign
