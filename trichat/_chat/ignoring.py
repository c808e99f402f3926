"""Whom a client ignores: by the names that somebody has, and had."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trichat._base.messages import Message
from trichat._base.nicknames import comparison_key

# Former names of people who are ignored: enough for the history, which shows what was said under them.
MOST_FORMER_NAMES = 100


class _Name(NamedTuple):
    name: str
    until: int = 0
    """The last id for which this is the name of the ignored person; 0 as long as it is. Somebody else may have the name
    afterwards."""


class IgnoreList:
    """The names of people whose words a client does not want to see. It never changes: changes make another one."""

    __slots__ = ("_names",)

    def __init__(self, names: Mapping[str, _Name] | None = None) -> None:
        self._names: Mapping[str, _Name] = names or {}
        """By comparison key."""

    def __bool__(self) -> bool:
        return bool(self._names)

    @property
    def names(self) -> Sequence[str]:
        """The present names of those who are ignored."""
        return [each.name for each in self._names.values() if not each.until]

    def has(self, name: str) -> bool:
        """Return whether the person who has this name is ignored."""
        found = self._names.get(comparison_key(name))
        return found is not None and not found.until

    def with_name(self, name: str) -> "IgnoreList":
        """Return a list that has this name, too."""
        return IgnoreList({**self._names, comparison_key(name): _Name(name)})

    def without(self, name: str) -> "IgnoreList":
        """Return a list that does not have this name; none at all if nobody is ignored any more."""
        names = {key: each for key, each in self._names.items() if key != comparison_key(name)}
        return IgnoreList(names if any(not each.until for each in names.values()) else None)

    def after_rename(self, name: str, new_name: str, at: int) -> "IgnoreList":
        """Return the list as it is when the person of this name has another one; `at` is the id of that change."""
        names = {**self._names, comparison_key(name): _Name(name, at)}
        former = [key for key, each in names.items() if each.until]
        for key in former[: max(len(former) - MOST_FORMER_NAMES, 0)]:
            del names[key]
        return IgnoreList(names).with_name(new_name)

    def covers(self, message: Message) -> bool:
        """Return whether the sender of a message is ignored."""
        found = self._names.get(comparison_key(message.sender))
        return found is not None and (not found.until or 0 < message.id <= found.until)


NOBODY = IgnoreList()
