"""The line protocol as a conversation: lines become requests, and what came of them becomes notices.

The first line that is not blank is the name, every later one a message or a command. A fence of three backticks makes
one message of the lines up to the next one.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from trichat._base import nicknames
from trichat._base.messages import Message, Refuse
from trichat._fronts.front import Limits, Outcome, RoomView
from trichat._fronts.line.decoder import Event, LineDecoder, LineTooLong
from trichat._fronts.line.wire import LineWire
from trichat._fronts.requests import Command, Foreign, Login, Malformed, Request, Say

# Names in the welcome; those of a full server would be longer than any screen.
NAMES_SHOWN = 20

# A message of several lines has at most so many bytes, and waits for its end so many seconds of silence.
FENCED_BYTES = 16 * 1024
FENCE_PATIENCE = 10.0

# A slash and one word. A pasted path or comment (/etc/hosts, // and /* ... */) is therefore still text, and so is any
# line that begins with a space.
_COMMAND = re.compile(r"/([A-Za-z][A-Za-z0-9-]*):?(?:\s+(.*))?", re.DOTALL)
_FENCE = re.compile(r"```[A-Za-z0-9+#._-]*\s*")

# A line that begins with none of these is a message and nothing else, as nearly every line is.
_MARKS = frozenset(["", "/", "`"])

# A web page can make a browser send such a line to a server in its user's network, and then whatever it likes: `stop`,
# from an address that is allowed to.
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+\s*")


class LineDialogue:
    """The conversation with one client of the line protocol."""

    in_one_room = True
    names_shown = NAMES_SHOWN

    __slots__ = ("_decoder", "_entered", "_fence", "_has_only_lines", "_max_line_bytes", "patience", "wire")

    def __init__(self, wire: LineWire, limits: Limits) -> None:
        self.wire = wire
        self._max_line_bytes = limits.max_line_bytes
        self._decoder = LineDecoder(limits.max_line_bytes, telnet=True)
        self._entered = False
        self._fence: _Fence | None = None
        """What has come after an opening fence."""
        self._has_only_lines = False
        """Whether it is in a room, and after no opening fence."""
        self.patience = math.inf
        """For how many seconds of silence to wait for the end of a fence."""

    def greeting(self) -> bytes:
        """Return what a client is sent when it has connected and may stay."""
        return self._notice("welcome to trichat; type your name and press Enter")

    def receive(self, data: bytes) -> Iterable[Request]:
        """Take what arrived, and return what it completes. `b""`, once or more, says that nothing more will come."""
        events: Sequence[Any] = self._decoder.receive(data)
        if not data:
            return self._last_requests(events)
        if self._has_only_lines and not self._decoder.found_too_long:
            # What `_requests` does with a line that is only text, for all lines at once.
            says = []
            for text in events:
                if text[:1] in _MARKS:
                    break
                says.append(Say(text, "", "said", 0, True))
            else:
                return says
        return self._requests(events)

    def idle(self) -> Iterable[Request]:
        """Return the lines after a fence that was not closed, as they are."""
        fence = self._fence
        self._set_fence(None)
        return [] if fence is None else fence.unclosed()

    def _set_fence(self, fence: "_Fence | None") -> None:
        self._fence = fence
        self._has_only_lines = self._entered and fence is None
        self.patience = math.inf if fence is None else FENCE_PATIENCE

    def _last_requests(self, events: Sequence[Event]) -> Iterator[Request]:
        yield from self._requests(events)
        yield from self.idle()

    def _requests(self, events: Sequence[Event]) -> Iterator[Request]:
        for event in events:
            if not self._entered:
                yield from self._before_entering(event)
            elif self._fence is not None:
                yield from self._within_fence(self._fence, event)
            elif isinstance(event, LineTooLong):
                yield self._too_long()
            elif _FENCE.fullmatch(event):
                self._set_fence(_Fence(event))
            elif command := _COMMAND.fullmatch(event.rstrip()):
                yield Command(command[1].lower(), (command[2] or "").strip())
            elif event:
                yield Say(event, bare=True)

    def _before_entering(self, event: Event) -> Iterator[Request]:
        if isinstance(event, LineTooLong):
            # A web page may make a browser start like this, and what follows would not be chat.
            yield Foreign("sent no name", "that is not a name; please connect again")
        elif _HTTP_REQUEST.fullmatch(event):
            yield Foreign("it spoke HTTP", "this is a chat server, not a web server; connect with nc")
        elif event.strip():
            yield Login(*nicknames.split_secret(event))

    def _within_fence(self, fence: "_Fence", event: Event) -> Iterator[Request]:
        if isinstance(event, LineTooLong):
            fence.drop()
            yield self._too_long()
        elif event.rstrip() == "```":
            self._set_fence(None)
            yield from fence.closed()
        elif fence.add(event):
            yield Malformed(f"a message of several lines has at most {FENCED_BYTES} bytes", "too_long")

    def _too_long(self) -> Malformed:
        return Malformed(f"a line has at most {self._max_line_bytes} bytes", "too_long")

    def entered(self, view: RoomView) -> bytes:
        """Return the welcome. The first one also tells what to know about the server."""
        others = ", ".join(view.others)
        if view.count > len(view.others):
            others += f" and {view.count - len(view.others)} more"
        here = f"here: {others}" if others else "you are the first here"
        topic = [f"topic: {view.topic}"] if view.topic else []  # the last part: whatever it says is the topic
        if self._entered:
            return self._notice("; ".join([f"you are in {view.room}", here, *topic]))
        self._entered = self._has_only_lines = True
        kept = ["what is said is kept (dates are UTC)"] if view.keeps_history else []
        return self._notice("; ".join([f"welcome, {view.name}", here, *kept, *view.hints, *topic]))

    def answered(self, request: Request, outcome: Outcome) -> bytes:
        """Return what the client is sent about what came of a request."""
        if not isinstance(outcome, Refuse):
            return self._notice(outcome.text) if outcome.text else b""
        match request:
            case Login():
                return self._notice(f"{outcome.reason}; try another name")
            case Say():
                return self._notice(f"not sent: {outcome.reason}")
            case Malformed():
                return self._notice(f"not taken: {outcome.reason}")
            case Command() if outcome.code == "unknown_command":
                return self._notice(f"{outcome.reason}; a space in front of the slash makes it text")
        return self._notice(outcome.reason)

    def farewell(self, reason: str) -> bytes:
        """Return the last words."""
        return self._notice(reason)

    def _notice(self, text: str) -> bytes:
        return self.wire.encode([Message(text, rooms=(), kind="notice")])


class _Fence:
    """The lines after an opening fence."""

    def __init__(self, opening: str) -> None:
        self._opening = opening
        self._lines: list[str] = []
        self._bytes = 0
        self._is_dropped = False

    def add(self, line: str) -> bool:
        """Add a line. Return whether it was one too many: then the message is dropped, up to its end."""
        if self._is_dropped:
            return False
        self._lines.append(line)
        self._bytes += len(line.encode()) + 1
        if self._bytes <= FENCED_BYTES:
            return False
        self.drop()
        return True

    def drop(self) -> None:
        """Keep nothing of the message, whatever follows until its end."""
        self._is_dropped = True
        self._lines = []

    def closed(self) -> Iterator[Request]:
        """Yield the message."""
        text = "\n".join(self._lines)
        if text.strip() and not self._is_dropped:
            yield Say(text)

    def unclosed(self) -> Iterator[Request]:
        """Yield the lines one by one, with the fence: it was not meant as one."""
        if not self._is_dropped:
            yield from (Say(line) for line in [self._opening, *self._lines] if line)
