"""The lines that the server sends, and messages among them: `{"message": {"kind": "said", "sender": "alice", ...}}`."""

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from msgspec.json import Encoder

from trichat import Kind, Message
from trichat_plugins.json_lines.cursors import cursor_at

_encoder = Encoder()


class Shown(Struct, frozen=True, omit_defaults=True):
    """A message as clients see it."""

    kind: Kind
    id: int
    time: str
    cursor: str
    rooms: Sequence[str] = ()
    sender: str = ""
    text: str = ""
    about: str = ""
    reply_to: int = 0


def shown(message: Message) -> Shown:
    """Return what clients see of a message."""
    # The rooms would tell everyone who shares one of them where else this person was.
    rooms = () if message.kind in ("quit", "renamed") else message.rooms
    id, sender, text, about = message.id, message.sender, message.text, message.about
    return Shown(message.kind, id, _time(id // 1_000_000), cursor_at(id), rooms, sender, text, about, message.reply_to)


@lru_cache(maxsize=1024)
def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def lines(objects: Sequence[Mapping[str, object]]) -> bytes:
    """Return objects as they are sent."""
    return _encoder.encode_lines(objects)


class JsonWire:
    """Encodes messages for clients that speak JSON lines."""

    echoes = True

    def encode(self, messages: Sequence[Message]) -> bytes:
        """Encode live messages, each as a line."""
        return lines([_live(message) for message in messages])

    def encode_history(self, room: str, messages: Sequence[Message]) -> bytes:
        """Encode messages of the past of `room`, each as a line that says so."""
        return lines([{"message": shown(message), "past": room} for message in messages])


def _live(message: Message) -> Mapping[str, object]:
    if message.rooms:
        return {"message": shown(message)}
    if message.sender:
        return {"private": {"sender": message.sender, "to": message.about, "text": message.text}}
    return {"notice": {"text": message.text}}
