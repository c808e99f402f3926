"""What has to hold after every run, whatever went wrong in it.

An invariant is a function that takes a `Run` and raises `AssertionError`; its docstring is what it is called when it
is broken. Those of plugin authors are of the same kind.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from trichat._base.messages import LOBBY, Message
from trichat._server import core_of
from trichat.testing._chat.person import Person
from trichat.testing._exploring.line_fates import as_heard
from trichat.testing._exploring.run import Run
from trichat.testing._probing.cancel_targets import Part

Invariant = Callable[[Run], None]


def title(invariant: Invariant) -> str:
    """Return what to call an invariant: the first line of its docstring, or its name."""
    line = (invariant.__doc__ or str(getattr(invariant, "__name__", "an invariant"))).strip().splitlines()[0]
    return line[:1].lower() + line[1:].rstrip(".")


_LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ "  # date and room
    r"(?:\*\* .*|\* .+ (?:joined|left)|[^*:][^:]*: .*)"  # the server, somebody who comes or goes, a person
)


def cancellation_passed(run: Run) -> None:
    """The cancellation was not swallowed."""
    if run.struck is not None:
        assert not run.struck.swallowed, f"in {run.struck.label} {run.struck.swallowed}"


def ended_in_time(run: Run) -> None:
    """What was cancelled ended soon."""
    assert not run.endless, "; ".join(run.endless)
    part = run.struck
    if part is not None and part.struck_at is not None and part.ended_at is not None:
        took = part.ended_at - part.struck_at
        assert took <= _longest_end(run, part), (
            f"{part.label} took {took:g} s to end; is there a shield with too long a deadline, or none?"
        )


def _longest_end(run: Run, part: Part) -> float:
    """What the server itself grants the part: a little more than its own deadline."""
    if run.chat is None:
        return run.ends_within
    options = run.chat.server.options
    granted = {
        "client": 2 * options.send_timeout + options.hook_timeout * (len(run.chat.plugins) + 1),
        "hook": options.hook_timeout,
    }
    return max(run.ends_within, 1 + granted.get(part.label.partition(" ")[0], options.shutdown_timeout))


def server_did_not_crash(run: Run) -> None:
    """The server did not crash."""
    assert not run.crashes, "; ".join(run.crashes)


def nothing_left(run: Run) -> None:
    """No task, thread, stream or file is left."""
    assert not run.left_behind, "; ".join(dict.fromkeys(run.left_behind))
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
        still_known = core_of(run.chat.server).hub.anyone()
        assert not still_known, f"there is still {still_known}"


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
    """The log has what anybody saw, and what was sent, in that order."""
    if run.chat is None or run.chat.log_path is None:
        return
    logged = [line.split(" ", 2)[2] for line in run.log.splitlines() if " " in line]
    sent = [message for message in run.witness.sent if message.kind in ("said", "notice")]
    seen = {line for person in run.chat.people for line in person.heard}
    for message in sent:
        assert as_heard(message) not in seen or _as_logged(message) in logged, (
            f"somebody saw {as_heard(message)!r}, and the log does not have it"
        )
    # Who joined and left may be kept or not. What the log has was sent, in that order: the rest was said to be lost.
    left = iter([_as_logged(message) for message in sent])
    for line in logged:
        if not line.startswith("* "):
            assert line in left, f"the log has {line!r}, which was not sent then"


def _as_logged(message: Message) -> str:
    return f"*{as_heard(message)}" if message.kind == "notice" else as_heard(message)


def views_agree(run: Run) -> None:
    """Everybody sees all, once and in the one order."""
    if run.chat is not None:
        for person in run.chat.people:
            _check_view(run, person)


def _check_view(run: Run, person: Person) -> None:
    sent = [message for message in run.witness.sent if message.room == LOBBY]
    # Who joins in one batch is not announced to each other, and the history may be without who joined and left.
    spoken = [message for message in sent if message.kind in ("said", "notice")]
    past = [line.partition("] ")[2] for line in person.heard if line.startswith("[2")]
    live = [line for line in person.heard if not line.startswith("[2")]
    _check_sequence(run, person, [*past, *live], spoken)
    _check_sequence(run, person, live, [message for message in sent if message.kind != "joined"])


def _check_sequence(run: Run, person: Person, heard: Sequence[str], messages: Sequence[Message]) -> None:
    """Check that what somebody heard of `messages` is a piece of them without gaps; for who is there, up to the end."""
    sent = [as_heard(message) for message in messages]
    told = set(sent)
    seen = [line for line in heard if line in told]
    starts = [start for start in range(len(sent) - len(seen) + 1) if sent[start : start + len(seen)] == seen]
    assert starts, f"{person.name} saw {seen}, but sent was {sent}"
    if person in run.present and person.reads:
        by_then = {id(message) for message in run.witness.sent[: run.present[person]]}
        count = sum(id(message) in by_then for message in messages)
        missed = sent[starts[-1] + len(seen) : count]
        assert not missed, f"{person.name} missed {missed}"


def backlogs_are_limited(run: Run) -> None:
    """Nobody has more waiting than the limit."""
    if run.chat is not None:
        limit = run.chat.server.options.backlog_bytes
        for member in core_of(run.chat.server).hub.members(LOBBY):
            waiting = member.outbox.backlog_bytes
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
    if run.before is None:
        return
    for name, now in run.fates.items():
        before = run.before.fates.get(name)
        if before is None:
            continue
        lost = now.lost(before)
        assert len(lost) <= now.told(before), (
            f"what became of {sorted(lost)}, which {name} said? {name} was told nothing"
        )
        assert now.unanswered <= before.unanswered, f"{name} has no answer to {now.unanswered} of the lines"


def history_is_whole(run: Run) -> None:
    """Somebody who comes afterwards is shown all that was sent before."""
    if run.before is None or (run.struck is not None and run.struck.label.startswith("lifespan ")):
        return  # whose lifespan has ended is asked for nothing any more
    shown_before = {line.partition("] ")[2] for line in run.before.newcomer if line.startswith("[2")}
    # What was said meanwhile comes live.
    shown = {line.partition("] ")[2] if line.startswith("[2") else line for line in run.newcomer}
    can_be_shown = not any(line.startswith("* the history cannot be shown") for line in run.newcomer)
    if can_be_shown and any(line.startswith("* welcome, ") for line in run.newcomer):
        sent = {as_heard(message) for message in run.witness.sent if message.kind in ("said", "notice")}
        missing = (shown_before & sent) - shown
        assert not missing, f"somebody who came afterwards was not shown {sorted(missing)}"


def plugins_did_not_fail(run: Run) -> None:
    """No plugin fails, but for what goes wrong on purpose."""
    for failure in run.failures:
        excused = run.disturbance is not None and run.disturbance.excuses(failure)
        assert excused, failure


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
    history_is_whole,
    server_goes_on,
    plugins_did_not_fail,
)

ALWAYS: Sequence[Invariant] = (log_is_whole, log_comes_first, views_agree, backlogs_are_limited)
"""Those that hold at any time, and not only when the server has stopped."""
