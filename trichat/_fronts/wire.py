"""The seam between a protocol and the rest of the server."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from trichat._base.messages import Message


class LineTooLong(msgspec.Struct, frozen=True):
    """A line went past the limit; all of it is dropped."""

    limit: int
    """The longest line that is taken, in bytes."""


Event = str | LineTooLong
"""A line without its end, or what is there in its place."""


class Decoder(Protocol):
    """The receiving half of one connection."""

    def receive(self, data: bytes) -> Sequence[Event]:
        """Take what arrived and return what it completes. `b""`, once or more, says that nothing else will come."""


class Wire(Protocol):
    """A protocol. Its encoders are pure: the same input gives the same bytes, for whichever client."""

    def decoder(self) -> Decoder:
        """A new decoder, for a new connection."""

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Live messages, in order."""

    def encode_history(self, messages: Sequence[Message]) -> bytes:
        """Messages of the past, in order, each with its date and time."""

    def encode_notice(self, text: str) -> bytes:
        """Something that the server says to one client; `text` may have several lines."""
