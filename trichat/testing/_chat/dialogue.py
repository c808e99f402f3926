"""A record of what was said and heard in a chat, in the form of a transcript."""

import re
from typing import TYPE_CHECKING

import trio

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


class Dialogue:
    """The lines of one chat, in the order in which they happened."""

    def __init__(self) -> None:
        # They hold the person and not the name, which is known only after the first lines.
        self._entries: list[tuple[Person | None, str]] = []
        self._now: float | None = None
        self.last_speaker: Person | None = None
        """The person who connected or said something last."""

    def note(self, person: "Person", what: str) -> None:
        """Add `what` somebody did or heard: `> hi`, `< alice: hi`, `+`, `!`."""
        self._note_time()
        self._entries.append((person, what))
        if what.startswith((">", "+")):
            self.last_speaker = person

    def take_back(self, person: "Person", what: str) -> None:
        """Remove the last entry that is equal to this, because it did not happen."""
        place = max(index for index, entry in enumerate(self._entries) if entry == (person, what))
        del self._entries[place]

    def _note_time(self) -> None:
        now = trio.current_time()
        if self._now is None:
            self._now = now
        # Whole seconds; the remainder counts towards the next entry.
        seconds = round(now - self._now)
        if seconds > 0:
            self._entries.append((None, f"--- {seconds}s"))
            self._now += seconds

    def __len__(self) -> int:
        return len(self._entries)

    def lines(self, since: int = 0) -> list[str]:
        """Return the lines from the one with the index `since` on."""
        return [f"{person.label}{what}" if person else what for person, what in self._entries[since:]]

    def __str__(self) -> str:
        """Return the dialogue as text; of a long one, the beginning and the end."""
        lines = [shortened(line) for line in self.lines()]
        if len(lines) > LENGTH:
            lines[LENGTH // 4 : -LENGTH * 3 // 4] = [f"# ... {len(lines) - LENGTH} lines ..."]
        return "\n".join(lines)
