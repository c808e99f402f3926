"""What became of the lines that people said: they were passed on, or whoever said them was told something instead."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from trichat._base.messages import Message
from trichat._fronts.line.wire import LineWire
from trichat.testing._chat.person import Person

_WIRE = LineWire(4096)

_NOT_SENT = re.compile(r"\* (\d+) messages were not sent")


class LineFates(NamedTuple):
    """What became of the lines of one person, all together."""

    said: frozenset[str]
    passed_on: frozenset[str]
    """Those of them that the person has heard again, in whatever form."""
    answers: Counter[str]
    """What the person alone was told, and for how many lines."""

    @property
    def unanswered(self) -> int:
        """How many lines at least have become of nothing."""
        return max(0, len(self.said) - len(self.passed_on) - self.answers.total())

    def lost(self, before: "LineFates") -> frozenset[str]:
        """The lines that were passed on `before`, and now are not."""
        return (before.passed_on & self.said) - self.passed_on

    def told(self, before: "LineFates") -> int:
        """For how many lines there is an answer that there was not `before`."""
        return (self.answers - before.answers).total()


def fates_of(person: Person, sent: Iterable[Message]) -> LineFates:
    """Return what became of the lines that somebody has said since the welcome, if `sent` is what all were told."""
    told = {as_heard(message) for message in sent}
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
        text for text in said if f"{person.chat_name}: {text}" in exact or any(text in line for line in public)
    )
    return LineFates(said, passed_on, answers)


def as_heard(message: Message) -> str:
    """Return a message as people see it live."""
    return _WIRE.encode([message]).decode().rstrip("\n")
