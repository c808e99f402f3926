"""The lines that clients send, each with one request: `{"say": {"room": "dev", "text": "hello"}, "label": "7"}`."""

from contextlib import suppress
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct
from msgspec.json import Decoder
from msgspec.structs import astuple

from trichat import fronts
from trichat_plugins.json_lines.cursors import id_at

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # every program can read it exactly


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What is inside of a line. It is named like the request that it becomes, and has the same fields in front."""

    def request(self, label: str) -> fronts.Request:
        request: fronts.Request = getattr(fronts, type(self).__name__)(*astuple(self), label=label)
        return request


class Login(_Body, frozen=True):
    name: str
    secret: str = ""

    def request(self, label: str) -> fronts.Request:
        return fronts.Login(self.name, self.secret, room="", label=label)


class Join(_Body, frozen=True):
    room: str
    key: str = ""
    after: str = ""
    limit: Number | UnsetType = UNSET

    def request(self, label: str) -> fronts.Request:
        """Ask for what was said after the cursor: all of it without a limit. Without either, ask for nothing."""
        after, most = (id_at(self.after), None) if self.after else (0, 0)
        return fronts.Join(self.room, self.key, after, most if self.limit is UNSET else self.limit, label=label)


class Part(_Body, frozen=True):
    room: str
    reason: str = ""


class Say(_Body, frozen=True):
    text: str
    room: str = ""
    kind: Literal["said", "did", "noticed"] = "said"
    reply_to: Number = 0


class Tell(_Body, frozen=True):
    name: str
    text: str


class Past(_Body, frozen=True):
    room: str
    after: Annotated[int, Meta(ge=1, le=2**53 - 1)] = 0
    before: Number = 0
    limit: Annotated[int, Meta(ge=1)] = 100


class Rename(_Body, frozen=True):
    name: str


class Away(_Body, frozen=True):
    text: str = ""


class Command(_Body, frozen=True):
    name: str
    arguments: str = ""
    room: str = ""


class Quit(_Body, frozen=True):
    reason: str = ""


# A line: one of them under its name, and the label for its answer.
_fields = [(each.__name__.lower(), each | UnsetType, UNSET) for each in _Body.__subclasses__()]
FromClient = defstruct("FromClient", [*_fields, ("label", str, "")], frozen=True, forbid_unknown_fields=True)


class _Labelled(Struct):
    label: str = ""


_decode = Decoder(FromClient).decode
_decode_label = Decoder(_Labelled).decode


def request_in(line: str) -> fronts.Request:
    """Return what a line asks for; `Malformed` if it is not a request, with its label if it has one."""
    label = ""
    try:
        *bodies, label = astuple(_decode(line))
        given = [*filter(None, bodies)]  # `UNSET` is false
        if len(given) != 1:
            raise ValueError(f"Expected one request, such as `say`, got {len(given)}")
        request: fronts.Request = given[0].request(label)
    except ValueError as error:
        with suppress(ValueError, RecursionError):  # the latter if it is nested thousands of times
            label = _decode_label(line).label
        return fronts.Malformed(f"not a request: {error}", label=label)
    return request
