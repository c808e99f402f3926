"""What was said and heard in a chat, written down as it happened, in the form of a transcript."""

import re
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trichat.testing._chat.person import Person

_DATE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]")

# Characters of a line that are shown to whoever reads a whole dialogue.
WIDTH = 200

# Lines of a dialogue that are shown: a quarter of them from its beginning.
LENGTH = 80


def without_date(line: str) -> str:
    """The line with `[date]` for its date, if it is one of the history: no test can know what it will be."""
    return _DATE.sub("[date]", line, count=1) if line.startswith("[") else line


def shortened(line: str) -> str:
    """The beginning of a long line: there is nothing to be seen in the rest of it."""
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}..."


def visible(line: str) -> str:
    """The line with what a terminal obeys or hides as escapes: who compares it with another has to see that."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


class Dialogue:
    """The lines of one chat, in the order in which they happened."""

    def __init__(self) -> None:
        # With the person rather than the name, which is known only after the first lines.
        self._entries: list[tuple[Person | None, str]] = []
        self._now: float | None = None
        self.last_speaker: Person | None = None
        """Who connected or said something last."""

    def note(self, person: "Person", what: str) -> None:
        """Write down `what` somebody did or heard: `> hi`, `< alice: hi`, `+`, `!`."""
        self._note_time()
        self._entries.append((person, what))
        if what.startswith((">", "+")):
            self.last_speaker = person

    def take_back(self, person: "Person", what: str) -> None:
        """Strike out what was noted last of this: it did not happen."""
        place = max(index for index, entry in enumerate(self._entries) if entry == (person, what))
        del self._entries[place]

    def _note_time(self) -> None:
        now = trio.current_time()
        if self._now is None:
            self._now = now
        # Whole seconds; what is left over, or was given too early, counts with what follows.
        seconds = round(now - self._now)
        if seconds > 0:
            self._entries.append((None, f"--- {seconds}s"))
            self._now += seconds

    def __len__(self) -> int:
        return len(self._entries)

    def lines(self, since: int = 0) -> list[str]:
        """Return the lines from the one with the index `since` on."""
        return [f"{person.name}{what}" if person else what for person, what in self._entries[since:]]

    def __str__(self) -> str:
        """Return all of it, or of a long one the beginning and the end, as text."""
        lines = [shortened(line) for line in self.lines()]
        if len(lines) > LENGTH:
            lines[LENGTH // 4 : -LENGTH * 3 // 4] = [f"# ... {len(lines) - LENGTH} lines ..."]
        return "\n".join(lines)
