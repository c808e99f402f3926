"""What became of the lines that people said: they were passed on, or their author was told something instead."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from trichat._base.messages import Message
from trichat._fronts.line.wire import LineWire
from trichat.testing._chat.person import Person

_WIRE = LineWire()

_NOT_SENT = re.compile(r"\* (\d+) messages were not sent")


class LineFates(NamedTuple):
    """What became of the lines of one person."""

    said: frozenset[str]
    passed_on: frozenset[str]
    """The lines that the person has heard again, in any form."""
    answers: Counter[str]
    """What only this person was told, each with the number of lines that it answers."""

    @property
    def unanswered(self) -> int:
        """The least number of lines that were neither passed on nor answered."""
        return max(0, len(self.said) - len(self.passed_on) - self.answers.total())

    def lost(self, before: "LineFates") -> frozenset[str]:
        """Return the lines that were passed on in `before`, but not in this run."""
        return (before.passed_on & self.said) - self.passed_on

    def told(self, before: "LineFates") -> int:
        """Return the number of lines with an answer that `before` does not have."""
        return (self.answers - before.answers).total()


def fates_of(person: Person, sent: Iterable[Message]) -> LineFates:
    """Return what became of the lines that somebody has said since the welcome. `sent` is what everyone was told."""
    told = {as_heard(message) for message in sent}
    # Everybody is told of another name, but it answers the one who took it.
    told -= {f"* {former} is now {name}" for former, name in pairwise(person.names)}
    welcome = next(i for i, line in enumerate(person.heard) if line.startswith("* welcome, "))
    heard = person.heard[welcome + 1 :]
    answers = Counter[str]()
    for line in heard:
        if line.startswith("* ") and line not in told:
            many = _NOT_SENT.match(line)
            answers[line] += int(many[1]) if many else 1
    said = frozenset(person.said)
    public = [line for line in heard if line not in answers]
    exact = set(public)
    passed_on = frozenset(
        text
        for text in said
        if f"{person.name}: {text}" in exact
        # The name of a command may be in what somebody says; a command itself is never passed on.
        or (not text.startswith("/") and any(text in line for line in public))
    )
    return LineFates(said, passed_on, answers)


def as_heard(message: Message) -> str:
    """Return a message as people see it live."""
    return _WIRE.encode([message]).decode().rstrip("\n")
