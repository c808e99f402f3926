"""A record of what was said and heard in a chat, in the form of a transcript."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import trio

from trichat._base.nicknames import split_secret

if TYPE_CHECKING:
    from trichat.testing._chat.person import Person

_DATE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")

# Characters that are shown of a line when a whole dialogue is printed.
WIDTH = 200

# Lines that are shown of a dialogue: a quarter from its beginning, the rest from its end.
LENGTH = 80


def without_date(line: str) -> str:
    """Return a line of the history with `[date]` for its date, which no test can know; other lines as they are."""
    return _DATE.sub("[date]", line, count=1) if line.startswith("[") else line


def shortened(line: str) -> str:
    """Return the line, or the beginning of a long one."""
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}..."


def visible(line: str) -> str:
    """Return the line with escapes for characters that a terminal obeys or hides, so that a difference shows."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


class _Entry(NamedTuple):
    # It holds the person and not the name, which is known only after the first lines.
    person: "Person | None"
    what: str
    shown: str
    """The same without what is secret in it."""


class Dialogue:
    """The lines of one chat, in the order in which they happened.

    `is_secret` takes the name of a command, and tells whether its arguments are secret. They are shown as `***`, as is
    the secret that somebody gives with a name. Only on the line protocol is it known what is secret in a line.
    """

    def __init__(self, is_secret: Callable[[str], bool] = lambda _: False) -> None:
        self._is_secret = is_secret
        self._entries: list[_Entry] = []
        self._now: float | None = None
        self.last_speaker: Person | None = None
        """The person who connected or said something last."""

    def note(self, person: "Person", what: str) -> None:
        """Add `what` somebody did or heard: `> hi`, `< alice: hi`, `+`, `+ json`, `!`."""
        self._note_time()
        typed = what.startswith("> ") and person.front is None
        shown = f"> {self.as_shown(what[2:], has_name=person.name != '')}" if typed else what
        self._entries.append(_Entry(person, what, shown))
        if what.startswith((">", "+")):
            self.last_speaker = person

    def take_back(self, person: "Person", what: str) -> None:
        """Remove the last entry that is equal to this, because it did not happen."""
        place = max(index for index, entry in enumerate(self._entries) if entry[:2] == (person, what))
        del self._entries[place]

    def as_shown(self, line: str, *, has_name: bool) -> str:
        """Return a line that somebody types, with `***` for a secret in it. Without a name, the line gives one."""
        if not has_name:
            name, secret = split_secret(line)
            return f"{name} !***".lstrip() if secret else line
        match line.split(maxsplit=1):
            case [command, _] if command.startswith("/") and self._is_secret(command.removeprefix("/")):
                return f"{command} ***"
        return line

    def _note_time(self) -> None:
        now = trio.current_time()
        if self._now is None:
            self._now = now
        # Whole seconds; the remainder counts towards the next entry.
        seconds = round(now - self._now)
        if seconds > 0:
            pause = f"--- {seconds}s"
            self._entries.append(_Entry(None, pause, pause))
            self._now += seconds

    def __len__(self) -> int:
        return len(self._entries)

    def lines(self, since: int = 0) -> list[str]:
        """Return the lines from the one with the index `since` on."""
        return [f"{each.person.label}{each.shown}" if each.person else each.shown for each in self._entries[since:]]

    def __str__(self) -> str:
        """Return the dialogue as text; of a long one, the beginning and the end."""
        lines = [shortened(line) for line in self.lines()]
        if len(lines) > LENGTH:
            lines[LENGTH // 4 : -LENGTH * 3 // 4] = [f"# ... {len(lines) - LENGTH} lines ..."]
        return "\n".join(lines)
