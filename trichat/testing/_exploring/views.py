"""What each person saw of each room, compared with the one order in which it was sent.

A client of the line protocol is in one room at a time. What it hears is therefore a series of stays, and each of them
is a part of the order of one room: from the client's own joining to its own leaving, with nothing missing in between.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from trichat._base.messages import LOBBY, Message
from trichat._base.nicknames import comparison_key
from trichat.testing._chat.person import ENTERED, WELCOME, Person
from trichat.testing._exploring.line_fates import as_heard
from trichat.testing._exploring.run import Run

PRESENCE = ("joined", "left", "quit")
"""The kinds of messages that a log need not have."""

# What somebody is told who ignores another person.
_IGNORES = re.compile(r"\* you no longer see what (.*) says; ")
_IGNORED_KINDS = ("said", "did", "noticed")

# What the order has of somebody who goes from one room to another.
_MOVE = ("left", "joined")


class Stay(NamedTuple):
    """What somebody heard in one room, from entering it to entering the next."""

    room: str
    arrived_as: str
    """The name at the beginning; empty if the client never heard that it is in."""
    left_as: str
    """The name at the end."""
    past: Sequence[str]
    """The history, without its dates."""
    live: Sequence[str]
    """Everything else, in order."""
    is_last: bool


def stays_of(heard: Iterable[str]) -> Iterator[Stay]:
    """Yield the stays of somebody who heard these lines. The history of a room comes before the news of being in it."""
    room, arrived_as, name = "", "", ""
    past, live, history = list[str](), list[str](), list[str]()
    for line in heard:
        if line.startswith("[2"):
            history.append(line.partition("] ")[2])
        elif welcome := (not name and WELCOME.match(line)):
            room, arrived_as, name = LOBBY, welcome[1], welcome[1]
            past, live, history = history, [], []
        elif name and (entered := ENTERED.match(line)):
            yield Stay(room, arrived_as, name, past, live, is_last=False)
            room, arrived_as = entered[1], name
            past, live, history = history, [], []
        else:
            live.append(line)
            if name and line.startswith(f"* {name} is now "):
                name = line.removeprefix(f"* {name} is now ")
    if name:
        yield Stay(room, arrived_as, name, past, live, is_last=True)
    else:
        yield Stay(LOBBY, "", "", history, [], is_last=True)


def ignored_by(person: Person, run: Run) -> Collection[str]:
    """Return the names of those whom somebody has ignored at some time, by their comparison keys."""
    names = {comparison_key(ignored[1]) for line in person.heard if (ignored := _IGNORES.match(line))}
    for message in run.witness.sent if names else ():
        if message.kind == "renamed" and comparison_key(message.sender) in names:
            names.add(comparison_key(message.about))
    return names


def views_agree(run: Run) -> None:
    """Everybody sees every message of their room, once and in the one order."""
    for person in run.chat.people if run.chat is not None else ():
        for stay in stays_of(person.heard):
            _check_stay(run, person, _without_next_room(run, person, stay))


def rooms_are_apart(run: Run) -> None:
    """Nobody hears a room that they are not in."""
    for person in run.chat.people if run.chat is not None else ():
        for stay in stays_of(person.heard):
            rooms = [stay.room, *_next_room(run, person, stay)]
            sent = [message for room in rooms for message in _sent_in(room, run)]
            # Whoever ignores somebody does not hear why that person leaves.
            here = {as_heard(each) for message in sent for each in (message, _without_reason(message))}
            elsewhere = {as_heard(message): message.rooms for message in run.witness.sent}
            for line in stay.live:
                assert line in here or line not in elsewhere, (
                    f"{person.label} was in {stay.room}, and heard {line!r}, which was for {', '.join(elsewhere[line])}"
                )


def _check_stay(run: Run, person: Person, stay: Stay) -> None:
    _check_words(run, person, stay)
    if stay.arrived_as:
        _check_live(run, person, stay)


def _without_next_room(run: Run, person: Person, stay: Stay) -> Stay:
    """Return a stay without the last lines that may have been for the room that somebody was about to hear of.

    As few of them as possible are taken away.
    """
    rooms = _next_room(run, person, stay)
    there = {as_heard(message) for room in rooms for message in _sent_in(room, run)}
    said = {as_heard(message) for message in run.witness.sent}
    # Other lines, such as the last words, are of no room.
    while rooms and stay.live and (stay.live[-1] in there or stay.live[-1] not in said):
        try:
            _check_stay(run, person, stay)
            break
        except AssertionError:
            stay = stay._replace(live=stay.live[:-1])
    return stay


def _next_room(run: Run, person: Person, stay: Stay) -> Sequence[str]:
    """Return the room that somebody had just entered when the connection ended, before there was time to say so."""
    if not stay.is_last or person in run.present:
        return []
    own = [message for message in run.witness.sent if message.sender == stay.left_as]
    moves = [(left.rooms, joined.room) for left, joined in pairwise(own) if (left.kind, joined.kind) == _MOVE]
    return [room for former, room in moves if former == (stay.room,)]


def _check_words(run: Run, person: Person, stay: Stay) -> None:
    """Check that the history and what was heard live are one part of what was said, without a gap between them."""
    # Clients that join in one batch do not see each other join, and a history may omit joins and departures.
    spoken = [message for message in _shown_in(stay.room, run, person) if message.kind not in PRESENCE]
    _check_part(run, person, stay, [*stay.past, *stay.live], spoken, lambda _: True, lambda _: True)


def _check_live(run: Run, person: Person, stay: Stay) -> None:
    """Check that what was heard live is all that was sent from the joining to the leaving."""
    sent = _shown_in(stay.room, run, person)

    def follows_own_joining(start: int) -> bool:
        # Others may join in the same batch.
        for message in reversed(sent[:start]):
            if message.kind != "joined":
                return False
            if message.sender == stay.arrived_as:
                return True
        return False

    def precedes_own_leaving(end: int) -> bool:
        # Others may leave for another room in the same batch.
        for message in sent[end:]:
            if message.kind != "left":
                return False
            if message.sender == stay.left_as:
                return True
        return False

    ends = (lambda _: True) if stay.is_last else precedes_own_leaving
    _check_part(run, person, stay, stay.live, sent, follows_own_joining, ends)


def _check_part(
    run: Run,
    person: Person,
    stay: Stay,
    heard: Sequence[str],
    messages: Sequence[Message],
    may_begin: Callable[[int], bool],
    may_end: Callable[[int], bool],
) -> None:
    """Check that somebody heard a part of `messages` without gaps, and up to the end if they are still there.

    `may_begin` and `may_end` say of an index in `messages` whether the part may begin or end before it.
    """
    sent = [as_heard(message) for message in messages]
    told = set(sent)
    seen = [line for line in heard if line in told]
    starts = [start for start in range(len(sent) - len(seen) + 1) if sent[start : start + len(seen)] == seen]
    assert starts, f"{person.label} saw {seen} in {stay.room}, but the server sent {sent}"
    starts = [start for start in starts if may_begin(start)]
    assert starts, f"{person.label} saw {seen} in {stay.room} with a gap after joining; the server sent {sent}"
    starts = [start for start in starts if may_end(start + len(seen))]
    assert starts, f"{person.label} saw {seen} in {stay.room}, which is not all up to leaving; the server sent {sent}"
    if stay.is_last and person in run.present and person.reads:
        by_then = {id(message) for message in run.witness.sent[: run.present[person]]}
        count = sum(id(message) in by_then for message in messages)
        missed = sent[starts[-1] + len(seen) : count]
        assert not missed, f"{person.label} missed {missed} in {stay.room}"


def _sent_in(room: str, run: Run) -> Sequence[Message]:
    return [message for message in run.witness.sent if room in message.rooms]


def _shown_in(room: str, run: Run, person: Person) -> Sequence[Message]:
    """Return what was sent in a room, without the words of those whom somebody ignores: they may have been heard."""
    sent, ignored = _sent_in(room, run), ignored_by(person, run)
    if not ignored:
        return sent
    return [each for each in sent if not _has_words(each) or comparison_key(each.sender) not in ignored]


def _has_words(message: Message) -> bool:
    return message.kind in _IGNORED_KINDS or _without_reason(message) is not message


def _without_reason(message: Message) -> Message:
    return message.with_text("") if message.text and message.kind in ("left", "quit") else message
