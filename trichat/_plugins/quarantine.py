"""Records which plugins have crashed, and which have failed so often that they are told nothing any more."""

from collections import deque

# Seconds within which the failures of a plugin put it into quarantine.
QUARANTINE_SPAN = 60.0


class FailureCounts:
    """The failures of the plugins of a server, by name."""

    def __init__(self) -> None:
        self.crashed: set[str] = set()
        """Plugins whose lifespan has crashed. They refuse what they are asked."""
        self.quarantined: set[str] = set()
        """Plugins that have failed too often. They are told nothing, but are still asked."""
        self._times: dict[str, deque[float]] = {}
        """The times of each plugin's last failures, at most as many as put it into quarantine."""

    def mark_crashed(self, name: str) -> bool:
        """Note that a plugin's lifespan has crashed, and return whether that is new."""
        is_new = name not in self.crashed
        self.crashed.add(name)
        return is_new

    def are_too_many(self, name: str, limit: int, now: float) -> bool:
        """Note that a plugin failed `now`, in seconds, and return whether that puts it into quarantine.

        `limit` is the number of failures that does so. With 0, no number does.
        """
        if not limit or name in self.quarantined:
            return False
        times = self._times.setdefault(name, deque(maxlen=limit))
        times.append(now)
        if len(times) < limit or times[-1] - times[0] > QUARANTINE_SPAN:
            return False
        self.quarantined.add(name)
        return True

    def end_quarantine(self, name: str) -> bool:
        """Forget the failures of a plugin that has not crashed, and return whether it was in quarantine."""
        self._times.pop(name, None)
        was_in = name in self.quarantined
        self.quarantined.discard(name)
        return was_in

    def forget(self, name: str) -> None:
        """Forget everything about a plugin, because another one has replaced it."""
        self.crashed.discard(name)
        self.end_quarantine(name)
