"""Requests: what a client wants, the same on every front."""

from typing import Literal

import msgspec


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    label: str = ""
    """What the client calls the request; the answer repeats it. Empty where the front has no such thing."""


class Login(_Request, frozen=True, kw_only=False):
    """Give me this name."""

    name: str
    secret: str = ""
    """What proves that the name is the client's own."""


class Say(_Request, frozen=True, kw_only=False):
    """Say this in a room."""

    text: str
    room: str = ""
    """Empty for the room that the client speaks in."""
    kind: Literal["said", "did", "noticed"] = "said"
    reply_to: int = 0
    bare: bool = False
    """Whether it was typed alone on a line of the line protocol."""


class Command(_Request, frozen=True, kw_only=False):
    """Run a slash command, given without its slash. `arguments` is the rest of the line, stripped."""

    name: str
    arguments: str = ""
    room: str = ""
    """The room that it is given in; empty for the one that the client speaks in."""


class Quit(_Request, frozen=True, kw_only=False):
    """Let me go."""

    reason: str = ""


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


Request = Login | Say | Command | Quit | Reply | Malformed | Foreign
