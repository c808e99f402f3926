"""A dictionary by the names of people, for plugins that remember something about them."""

from collections.abc import Iterator, MutableMapping
from typing import Generic, TypeVar

from trichat._base import nicknames
from trichat._base.name_index import NameIndex

V = TypeVar("V")


class _Entry(Generic[V]):
    __slots__ = ("name", "value")

    def __init__(self, name: str, value: V) -> None:
        self.name = name
        self.value = value


class NameDict(MutableMapping[str, V]):
    """A dictionary by people's names. It finds a name in whatever way it is written: as the server compares names.

    It remembers at most `limit` names; the one that was set longest ago is forgotten first. Its names are in the order
    in which they were set. Names that count as the same share one value: setting it replaces the others. Setting one
    raises `ValueError` if it cannot be a name.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._index: NameIndex[_Entry[V]] = NameIndex()
        self._entries: dict[_Entry[V], None] = {}

    def __setitem__(self, name: str, value: V) -> None:
        prepared = nicknames.prepare(name)
        # A name that mixes scripts may look like several names of others.
        while (former := self._index.find(prepared)) is not None:
            self._remove(former)
        entry = _Entry(prepared, value)
        self._index.claim(prepared, entry)
        self._entries[entry] = None
        if len(self._entries) > self._limit:
            self._remove(next(iter(self._entries)))

    def __getitem__(self, name: str) -> V:
        return self._entry(name).value

    def __delitem__(self, name: str) -> None:
        self._remove(self._entry(name))

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _entry(self, name: str) -> _Entry[V]:
        try:
            entry = self._index.find(nicknames.prepare(name))
        except nicknames.InvalidName:
            entry = None
        if entry is None:
            raise KeyError(name)
        return entry

    def _remove(self, entry: _Entry[V]) -> None:
        self._index.release(entry.name, entry)
        del self._entries[entry]
