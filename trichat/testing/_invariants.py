"""What has to hold after every run, whatever went wrong in it.

An invariant is a function that takes a `Run` and raises `AssertionError`; its docstring is what it is called when it
is broken. Those of plugin authors are of the same kind.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from trichat._messages import Message
from trichat.testing._parts import Part
from trichat.testing._person import Person
from trichat.testing._run import Run, as_heard

Invariant = Callable[[Run], None]

# Virtual seconds that a part may take to end after it was cancelled: about as long as a whole server may.
LONGEST_END = 6.0

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ .*")


def cancellation_passed(run: Run) -> None:
    """The cancellation was not swallowed."""
    if run.struck is not None:
        assert not run.struck.swallowed, f"in {run.struck.label} {run.struck.swallowed}"


def ended_in_time(run: Run) -> None:
    """What was cancelled ended soon."""
    assert not run.endless, f"it would have waited for ever: {'; '.join(run.endless)}"
    part = run.struck
    if part is not None and part.struck_at is not None and part.ended_at is not None:
        took = part.ended_at - part.struck_at
        assert took <= _longest_end(run, part), (
            f"{part.label} took {took:g} s to end; is there a shield without a deadline?"
        )


def _longest_end(run: Run, part: Part) -> float:
    if run.chat is None or not part.label.startswith("client"):
        return LONGEST_END
    # What a client was sent, and its last words, may take as long as anything may.
    options = run.chat.server.options
    return LONGEST_END + 2 * options.send_timeout + options.hook_timeout


def server_did_not_crash(run: Run) -> None:
    """The server did not crash."""
    assert not run.crashes, "; ".join(run.crashes)


def nothing_left(run: Run) -> None:
    """No task, stream or file is left."""
    assert not run.left_behind, "; ".join(run.left_behind)
    if run.chat is not None:
        people = [p.name for p, t in zip(run.chat.people, run.chat.transports, strict=True) if not t.closed]
        assert not people, f"the server never closed its end of the connection of {', '.join(people)}"


def life_is_balanced(run: Run) -> None:
    """On_connect and on_disconnect are balanced."""
    for client, count in (run.witness.connected | run.witness.disconnected).items():
        assert count == 1, f"one of them ran {count} times for {client}"
    # A plugin may refuse the connection before the witness is asked; on_disconnect is for all.
    for client in run.witness.connected:
        assert client in run.witness.disconnected, f"on_disconnect was not called for {client}"


def hub_is_empty(run: Run) -> None:
    """No client is left in the hub."""
    if run.chat is not None:
        assert not run.chat.server._hub.anyone(), f"there is still {run.chat.server._hub.anyone()}"


def departures_are_told(run: Run) -> None:
    """Who joined has left, and it was told."""
    here: list[str] = []
    for message in run.witness.sent:
        if message.kind == "joined":
            assert message.sender not in here, f"{message.sender} joined twice"
            here.append(message.sender)
        elif message.kind == "left":
            assert message.sender in here, f"{message.sender} left without having been there"
            here.remove(message.sender)
    assert not here, f"nobody was told that {', '.join(here)} left"


def log_is_whole(run: Run) -> None:
    """The log is whole, and in the order that was sent."""
    *lines, rest = run.log.split("\n")
    assert not rest, f"it ends in the middle of a line: {rest!r}"
    for line in lines:
        assert _LOG_LINE.fullmatch(line) or line == "\0", f"not a line of a log: {line!r}"
    dates = [line.partition(" ")[0] for line in lines if line != "\0"]
    assert all(one < other for one, other in pairwise(dates)), f"not in order: {dates}"


def log_comes_first(run: Run) -> None:
    """What anybody saw is in the log."""
    if run.chat is None or "chat_log" not in run.chat.server.plugin_names:
        return
    logged = [line.split(" ", 2)[2] for line in run.log.splitlines() if " " in line]
    seen = {line for person in run.chat.people for line in _room_lines(person.heard, run.witness.sent)}
    for message in run.witness.sent:
        line = as_heard(message)
        if line in seen and message.kind in ("said", "notice"):
            written = f"*{line}" if message.kind == "notice" else line
            assert written in logged, f"somebody saw {line!r}, and the log does not have it"


def views_agree(run: Run) -> None:
    """Everybody sees all, once and in the one order."""
    if run.chat is None:
        return
    for person in run.chat.people:
        _check_view(run, person)


def _check_view(run: Run, person: Person) -> None:
    # Who joins in one batch is not announced to each other, so that joins are not part of every view.
    sent = [as_heard(message) for message in run.witness.sent if message.kind != "joined"]
    seen = [line for line in _room_lines(person.heard, run.witness.sent) if line in sent]
    starts = [start for start in range(len(sent) - len(seen) + 1) if sent[start : start + len(seen)] == seen]
    assert starts, f"{person.name} saw {seen}, but sent was {sent}"
    if person in run.present and person.reads:
        count = sum(message.kind != "joined" for message in run.witness.sent[: run.present[person]])
        missed = sent[starts[-1] + len(seen) : count]
        assert any(start + len(seen) >= count for start in starts), f"{person.name} missed {missed}"


def backlogs_are_limited(run: Run) -> None:
    """Nobody has more waiting than the limit."""
    if run.chat is not None:
        limit = run.chat.server.options.backlog_bytes
        for member in run.chat.server.members():
            waiting = member._outbox.backlog_bytes
            assert waiting <= limit, f"{waiting} bytes wait for {member}, the limit is {limit}"


def server_goes_on(run: Run) -> None:
    """The server goes on for others."""
    if run.before is None or not run.has_started or not run.before.newcomer:
        return  # it never started, or had stopped by itself
    if run.struck is not None and run.struck.label == "server":
        return
    heard = "\n".join(run.newcomer)
    expected = "\n".join(run.before.newcomer)
    for sign in ("* welcome, newcomer", "newcomer: is anybody here?"):
        if sign in expected:
            # A plugin that has crashed refuses what it is asked, so that an answer is all that can be expected.
            refused = re.search(r"the plugin '.*' failed", heard)
            assert sign in heard or refused, f"somebody who came afterwards heard {run.newcomer}"


def no_line_is_lost(run: Run) -> None:
    """No line is taken without an answer."""
    if run.before is not None and not run.before.unanswered:
        for name, count in run.unanswered.items():
            raise AssertionError(f"{name} has no answer to {count} of the lines")


def plugins_did_not_fail(run: Run) -> None:
    """No plugin fails because something else went wrong."""
    if run.before is not None and run.disturbance is not None:
        for failure in run.failures:
            assert failure in run.before.failures or run.disturbance.excuses(failure), failure


def _room_lines(heard: Iterable[str], sent: Sequence[Message]) -> list[str]:
    """What somebody saw of the room, live or as history."""
    told = {as_heard(message) for message in sent}
    lines = (line.partition("] ")[2] if line.startswith("[2") else line for line in heard)
    return [line for line in lines if line in told]


INVARIANTS: Sequence[Invariant] = (
    server_did_not_crash,
    ended_in_time,
    cancellation_passed,
    nothing_left,
    life_is_balanced,
    hub_is_empty,
    departures_are_told,
    log_is_whole,
    log_comes_first,
    views_agree,
    no_line_is_lost,
    server_goes_on,
    plugins_did_not_fail,
)

ALWAYS: Sequence[Invariant] = (log_is_whole, log_comes_first, views_agree, backlogs_are_limited)
"""Those that hold at any time, and not only when the server has stopped."""
