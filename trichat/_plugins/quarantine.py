"""Which plugins have failed so often that they are told nothing any more, and which have crashed."""

from collections import deque

# Within how many seconds the failures of a plugin have to be to put it into quarantine.
QUARANTINE_SPAN = 60.0


class Failures:
    """The failures of the plugins of a server, by name."""

    def __init__(self) -> None:
        self.crashed: set[str] = set()
        """Whose lifespan has crashed: they refuse what they are asked."""
        self.quarantined: set[str] = set()
        """Who has failed too often: they are still asked."""
        self._times: dict[str, deque[float]] = {}
        """When each failed last, as often as it may."""

    def are_too_many(self, name: str, limit: int, now: float) -> bool:
        """Note that a plugin failed `now`, in seconds, and return whether that puts it into quarantine.

        `limit` is how often it may fail; 0 for any number of times.
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
        """Let a plugin begin anew that has not crashed, and return whether it was in quarantine."""
        self._times.pop(name, None)
        was_in = name in self.quarantined
        self.quarantined.discard(name)
        return was_in

    def forget(self, name: str) -> None:
        """Forget what became of a plugin: another one is in its place."""
        self.crashed.discard(name)
        self.end_quarantine(name)
