"""Whether private lines stay private: what one person tells another is for these two alone."""

from collections.abc import Iterator

from trichat._base.messages import Message
from trichat._base.nicknames import comparison_key
from trichat.testing._chat.person import Person
from trichat.testing._exploring.line_fates import as_heard
from trichat.testing._exploring.recorder import PrivateLine
from trichat.testing._exploring.run import Run
from trichat.testing._exploring.views import ignored_by

# A shorter text may well be a part of some other line.
_TELLING = 8


def private_lines_are_private(run: Run) -> None:
    """A private line reaches the two alone, once, and no log."""
    if run.chat is None:
        return
    for told in dict.fromkeys(run.witness.told):
        receivers = [person for person in run.chat.people if told.receiver in person.names]
        _check_receivers(run, told, receivers)
        if len(told.text) >= _TELLING:
            # The names of people on other fronts are not known.
            known = [person for person in run.chat.people if person not in run.chat.wires]
            strangers = [person for person in known if {told.sender, told.receiver}.isdisjoint(person.names)]
            for place, line in _told_elsewhere(run, told, strangers):
                raise AssertionError(f"{told.sender} told {told.receiver} {told.text!r}, and {place} has {line!r}")


def _check_receivers(run: Run, told: PrivateLine, receivers: list[Person]) -> None:
    line = as_heard(Message(told.text, told.sender, (), about=told.receiver)).partition("\n")[0]
    times = run.witness.told.count(told)
    for person in receivers:
        heard = person.heard.count(line)
        assert heard <= times, f"{person.label} heard {line!r} {heard} times, but it was told {times} times"
        is_here = len(receivers) == 1 and person in run.present and person.reads
        is_sure = is_here and comparison_key(told.sender) not in ignored_by(person, run)
        assert heard == times or not is_sure, f"{person.label} did not hear {line!r}"


def _told_elsewhere(run: Run, told: PrivateLine, strangers: list[Person]) -> Iterator[tuple[str, str]]:
    """Yield where else the text is, with the line that has it. Somebody may have said the same in a room."""
    said = {as_heard(message) for message in run.witness.sent if message.sender}
    for person in strangers:
        heard = (line.partition("] ")[2] if line.startswith("[2") else line for line in person.heard)
        yield from ((person.label, line) for line in heard if told.text in line and line not in said)
    for line in run.log.splitlines():
        if told.text in line and not any(line.endswith(each) for each in said):
            yield "the log", line
