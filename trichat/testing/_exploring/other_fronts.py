"""What people heard who speak another protocol, compared with the one order in which it was sent.

The front's wire says what a message looks like. What the kit reads off the line protocol, such as names and rooms, it
does not know of these people.
"""

from collections.abc import Iterable, Iterator, Sequence

from trichat._base.messages import Message
from trichat._fronts.front import Wire
from trichat.testing._exploring.run import Run


def other_fronts_agree(run: Run) -> None:
    """Nobody on another front sees a message twice, or before an earlier one."""
    for person, wire in run.chat.wires.items() if run.chat is not None else ():
        sent = list(_as_lines(wire, run.witness.sent))
        told = set(sent)
        seen = [line for line in person.heard if line in told]
        misplaced = _misplaced(seen, sent)
        assert misplaced is None, f"{person.label} saw {misplaced!r} twice or too late; the server sent {sent}"


def _as_lines(wire: Wire, messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        yield from wire.encode([message]).decode(errors="backslashreplace").split("\n")[:-1]


def _misplaced(seen: Sequence[str], sent: Sequence[str]) -> str | None:
    """Return the first line that was not sent after those that were seen before it."""
    left = iter(sent)  # `in` takes lines out of it, up to the one that it looks for
    return next((line for line in seen if line not in left), None)
