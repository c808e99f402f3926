"""What must hold after every run, whatever went wrong in it.

An invariant is a function that takes a `Run` and raises `AssertionError`. The first line of its docstring is its name
in a report. Plugin authors write theirs in the same way.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from trichat._base.log_lines import format_log_lines, parse_log_line
from trichat._base.messages import LOBBY
from trichat._server import core_of
from trichat.testing._exploring.line_fates import as_heard
from trichat.testing._exploring.other_fronts import other_fronts_agree
from trichat.testing._exploring.private_lines import private_lines_are_private
from trichat.testing._exploring.run import Run
from trichat.testing._exploring.views import PRESENCE, rooms_are_apart, views_agree
from trichat.testing._probing.cancel_targets import Part

Invariant = Callable[[Run], None]


def title(invariant: Invariant) -> str:
    """Return the name of an invariant in a report: the first line of its docstring, or the function's name."""
    line = (invariant.__doc__ or str(getattr(invariant, "__name__", "an invariant"))).strip().splitlines()[0]
    return line[:1].lower() + line[1:].rstrip(".")


def cancellation_passed(run: Run) -> None:
    """The cancellation was not swallowed."""
    if run.struck is not None:
        assert not run.struck.swallowed, (
            f"{run.struck.label}: {run.struck.swallowed}; let trio.Cancelled pass, or raise it again after cleaning up"
        )


def ended_in_time(run: Run) -> None:
    """What was cancelled ended soon."""
    assert not run.endless, "; ".join(run.endless)
    part = run.struck
    if part is not None and part.struck_at is not None and part.ended_at is not None:
        took = part.ended_at - part.struck_at
        assert took <= _longest_end(run, part), (
            f"{part.label} took {took:g} s to end after it was cancelled; give each shielded scope a short deadline"
        )


def _longest_end(run: Run, part: Part) -> float:
    """Return how long the part may take: if the server grants it a deadline, a little more than that."""
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
        people = [p.label for p, t in zip(run.chat.people, run.chat.transports, strict=True) if not t.closed]
        assert not people, f"the server never closed its end of the connection to {', '.join(people)}"


def life_is_balanced(run: Run) -> None:
    """On_connect and on_disconnect are balanced."""
    for client, count in (run.witness.connected | run.witness.disconnected).items():
        assert count == 1, f"on_connect or on_disconnect ran {count} times for {client}"
    # A plugin may refuse the connection before the witness is asked. on_disconnect is called for every client.
    for client in run.witness.connected:
        assert client in run.witness.disconnected, f"on_disconnect was not called for {client}"


def hub_is_empty(run: Run) -> None:
    """No client is left in the hub."""
    if run.chat is not None:
        still_known = core_of(run.chat.server).hub.anyone()
        assert not still_known, f"the hub still knows {still_known}"


def departures_are_told(run: Run) -> None:
    """Everyone who joined a room has left it, and the room was told."""
    here: list[tuple[str, str]] = []
    for message in run.witness.sent:
        for room in message.rooms:
            place = (message.sender, room)
            if message.kind == "joined":
                assert place not in here, f"{message.sender} joined {room} twice"
                here.append(place)
            elif message.kind in ("left", "quit", "renamed"):
                assert place in here, f"{message.sender} {message.kind} in {room} without having joined"
                here.remove(place)
                if message.kind == "renamed":
                    here.append((message.about, room))
    assert not here, f"nobody was told that {', '.join(f'{name} left {room}' for name, room in here)}"


def names_are_unique(run: Run) -> None:
    """A name belongs to one person at a time, and names that are held are released."""
    assert not run.witness.confused, "; ".join(dict.fromkeys(run.witness.confused))
    assert not run.holding, f"a name is held for nobody: {'; '.join(run.holding)}"


def log_is_whole(run: Run) -> None:
    """The log has only whole lines, with ascending dates."""
    *lines, rest = run.log.split("\n")
    assert not rest, f"the log ends in the middle of a line: {rest!r}"
    for line in lines:
        assert parse_log_line(line.encode()) or line == "\0", f"the log has a line that is not in its format: {line!r}"
    dates = [line.partition(" ")[0] for line in lines if line != "\0"]
    assert all(one < other for one, other in pairwise(dates)), f"the dates in the log do not ascend: {dates}"


def log_comes_first(run: Run) -> None:
    """The log has every message that anyone saw, and only those that were sent, in their order."""
    if run.chat is None or run.chat.log_path is None:
        return
    parsed = filter(None, [parse_log_line(line.encode()) for line in run.log.split("\n")])
    logged = [format_log_lines([message]) for message in parsed if message.kind not in PRESENCE]
    sent = [message for message in run.witness.sent if message.kind not in PRESENCE]
    seen = {line for person in run.chat.people for line in person.heard}
    for message in sent:
        assert as_heard(message) not in seen or format_log_lines([message]) in logged, (
            f"somebody saw {as_heard(message)!r}, but the log does not have it"
        )
    # The log has nothing that was not sent, and has it in the same order. Messages that it does not have were reported
    # as lost.
    left = iter([format_log_lines([message]) for message in sent])
    for line in logged:
        assert line in left, f"the log has {line!r}, which was not sent, or not at this place in the order"


def backlogs_are_limited(run: Run) -> None:
    """No client's backlog exceeds the limit."""
    if run.chat is not None:
        limit = run.chat.server.options.backlog_bytes
        for connection in core_of(run.chat.server).hub.clients():
            waiting = connection.outbox.backlog_bytes
            assert waiting <= limit, f"{waiting} bytes wait for {connection}; the limit is {limit}"


def server_goes_on(run: Run) -> None:
    """The server keeps working for others."""
    if run.before is None or not run.has_started or not run.before.newcomer:
        return  # the server never started, or had already stopped
    if run.struck is not None and run.struck.label == "server":
        return
    heard = "\n".join(run.newcomer)
    expected = "\n".join(run.before.newcomer)
    for sign in ("* welcome, newcomer", "newcomer: is anybody here?"):
        if sign in expected:
            # A plugin that has crashed refuses whatever it is asked, so the newcomer may get a refusal instead.
            refused = re.search(r"the plugin '.*' failed", heard)
            assert sign in heard or refused, (
                f"a client that joined afterwards should hear {sign!r}, but heard {run.newcomer}"
            )


def no_line_is_lost(run: Run) -> None:
    """Every line is passed on or answered."""
    if run.before is None:
        return
    for name, now in run.fates.items():
        before = run.before.fates.get(name)
        if before is None:
            continue
        lost = now.lost(before)
        assert len(lost) <= now.told(before), (
            f"these lines of {name} were not passed on, and {name} was told nothing: {sorted(lost)}"
        )
        assert now.unanswered <= before.unanswered, f"{now.unanswered} of the lines of {name} got no answer"


def history_is_whole(run: Run) -> None:
    """A client that joins afterwards is shown everything that was sent before."""
    if run.before is None or (run.struck is not None and run.struck.label.startswith("lifespan ")):
        return  # a plugin whose lifespan has ended is not asked for the history any more
    shown_before = {line.partition("] ")[2] for line in run.before.newcomer if line.startswith("[2")}
    # Messages that are said during the join arrive live.
    shown = {line.partition("] ")[2] if line.startswith("[2") else line for line in run.newcomer}
    can_be_shown = not any(line.startswith("* the history cannot be shown") for line in run.newcomer)
    if can_be_shown and any(line.startswith("* welcome, ") for line in run.newcomer):
        in_lobby = [message for message in run.witness.sent if LOBBY in message.rooms]
        sent = {as_heard(message) for message in in_lobby if message.kind not in PRESENCE}
        missing = (shown_before & sent) - shown
        assert not missing, f"a client that joined afterwards was not shown {sorted(missing)}"


def plugins_did_not_fail(run: Run) -> None:
    """No plugin fails, except where something goes wrong on purpose."""
    for failure in run.failures:
        excused = run.disturbance is not None and run.disturbance.excuses(failure)
        assert excused, failure


_OF_WHAT_IS_SEEN: Sequence[Invariant] = (
    log_is_whole,
    log_comes_first,
    views_agree,
    other_fronts_agree,
    rooms_are_apart,
    private_lines_are_private,
    names_are_unique,
)

INVARIANTS: Sequence[Invariant] = (
    server_did_not_crash,
    ended_in_time,
    cancellation_passed,
    nothing_left,
    life_is_balanced,
    hub_is_empty,
    departures_are_told,
    *_OF_WHAT_IS_SEEN,
    no_line_is_lost,
    history_is_whole,
    server_goes_on,
    plugins_did_not_fail,
)

ALWAYS: Sequence[Invariant] = (*_OF_WHAT_IS_SEEN, backlogs_are_limited)
"""The invariants that hold at any time, and not only after the server has stopped."""
