"""JSON lines as a conversation: lines become requests, and what came of them becomes lines."""

import math
from collections.abc import Iterator, Sequence

from trichat import Message, Refuse, __version__, fronts
from trichat_plugins.json_lines.cursors import cursor_at
from trichat_plugins.json_lines.from_client import request_in
from trichat_plugins.json_lines.wire import JsonWire, lines, shown

FOREIGN = fronts.Foreign(
    "it does not speak JSON lines", "this port is for JSON lines; connect with nc to the other one"
)


class JsonDialogue:
    """The conversation with one client that speaks JSON lines."""

    in_one_room = False
    names_shown = None
    patience = math.inf

    __slots__ = ("_decoder", "_has_begun", "_max_line_bytes", "wire")

    def __init__(self, wire: JsonWire, limits: fronts.Limits) -> None:
        self.wire = wire
        self._max_line_bytes = limits.max_line_bytes
        self._decoder = fronts.LineDecoder(limits.max_line_bytes)
        self._has_begun = False
        """Whether the first line begins like an object."""

    def greeting(self) -> bytes:
        """Return what a client is sent when it has connected and may stay."""
        hello = {"server": "trichat", "version": __version__, "max_line_bytes": self._max_line_bytes}
        return lines([{"hello": hello}])

    def receive(self, data: bytes) -> Sequence[fronts.Request]:
        """Take what arrived, and return what it completes. `b""`, once or more, says that nothing more will come."""
        if not self._has_begun:
            # A web page can make a browser say almost anything to a server in its user's network, but not in the first
            # line. TLS has no lines, so this does not wait for the end of one.
            begun = data.lstrip()
            if begun and not begun.startswith(b"{"):
                return [FOREIGN]
            self._has_begun = bool(begun)
        return list(self._requests(data))

    def _requests(self, data: bytes) -> Iterator[fronts.Request]:
        for line in self._decoder.receive(data):
            if not isinstance(line, str):
                yield fronts.Malformed(f"a line has at most {line.limit} bytes", "too_long")
            elif line and not line.isspace():
                yield request_in(line)

    def idle(self) -> Sequence[fronts.Request]:
        """Return nothing: silence completes no line."""
        return ()

    def entered(self, view: fronts.RoomView) -> bytes:
        """Return what the client is sent when it has entered a room, after the history of that room."""
        here = {"others": view.others, "keeps_history": view.keeps_history, "cursor": cursor_at(view.last_id)}
        return lines([{"entered": {"room": view.room, "name": view.name, "topic": view.topic, **here}}])

    def answered(self, request: fronts.Request, outcome: fronts.Outcome) -> bytes:
        """Return what the client is sent about what came of a request: an error, or what there is to say."""
        label = {"label": request.label} if request.label else {}
        if isinstance(outcome, Refuse):
            return lines([{"error": {"code": outcome.code, "reason": _clean(outcome.reason)}, **label}])
        said = {"id": outcome.id, "text": _clean(outcome.text)}
        ok: dict[str, object] = {key: value for key, value in said.items() if value}
        if isinstance(request, fronts.Past):
            ok |= {"messages": list(map(shown, outcome.messages)), "has_more": outcome.has_more}
        return lines([{"ok": ok, **label}]) if ok or label else b""

    def farewell(self, reason: str) -> bytes:
        """Return the last words."""
        return lines([{"bye": {"reason": _clean(reason)}}])


def _clean(text: str) -> str:
    """Return what a plugin says without what terminals obey and what UTF-8 cannot encode."""
    return Message(text, rooms=(), kind="notice").text
