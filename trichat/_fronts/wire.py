"""The seam between a protocol and the rest of the server."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from trichat._base.messages import Message


class LineTooLong(msgspec.Struct, frozen=True):
    """A line is longer than the limit; all of it is dropped."""

    limit: int
    """The longest line that is accepted, in bytes."""


Event = str | LineTooLong
"""A line without its line end, or what stands in its place."""


class Decoder(Protocol):
    """The receiving half of one connection."""

    def receive(self, data: bytes) -> Sequence[Event]:
        """Take what arrived, and return what it completes. `b""`, once or more, says that nothing more will come."""


class Wire(Protocol):
    """A protocol. Its encoders are pure: the same input gives the same bytes for every client."""

    def decoder(self) -> Decoder:
        """Return a decoder for a new connection."""

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Encode live messages, in order."""

    def encode_history(self, messages: Sequence[Message]) -> bytes:
        """Encode messages of the past, in order, each with its date and time."""

    def encode_notice(self, text: str) -> bytes:
        """Encode what the server says to one client; `text` may have several lines."""
