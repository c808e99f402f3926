"""Which names are held, and by whom: found by any name that counts as the same."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from trichat._base import lookalikes
from trichat._base.nicknames import comparison_key

Owner = TypeVar("Owner")


class _Holding(NamedTuple, Generic[Owner]):
    name: str
    owner: Owner


class _Looks(NamedTuple):
    script: str | None
    skeletons: set[str]


class NameIndex(Generic[Owner]):
    """Prepared names and their owners. An owner may hold several names, and a name is held once.

    Two names count as the same if they differ only in case, or if they look alike. Names that are both written in one
    and the same script never look alike: whoever reads the script can tell `bob1` from `bobl`, and `modem` from
    `modern`. Claiming, finding and releasing take the same time however many names are held.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Holding[Owner]] = {}
        """By comparison key."""
        self._alike: dict[str, dict[str, str | None]] = {}
        """By skeleton: the comparison keys of the names that share it, with their scripts."""
        self._all_ascii = True
        """ASCII names never look alike. Before another name comes, nobody's looks are worked out."""

    def owners(self) -> list[Owner]:
        """Return the owner of each name that is held."""
        return [holding.owner for holding in self._held.values()]

    def claim(self, name: str, owner: Owner) -> bool:
        """Let `owner` hold `name`, unless another one holds it. Return whether it does.

        If the owner held the name in another spelling, it now holds it in this one.
        """
        key = comparison_key(name)
        looks = self._looks(name, key)
        if any(holder is not owner for holder in self._holders(key, looks)):
            return False
        if key in self._held:
            self.release(self._held[key].name, owner)
        self._held[key] = _Holding(name, owner)
        if looks:
            self._add(key, looks)
        return True

    def find(self, name: str) -> Owner | None:
        """Return the owner of the name that counts as the same as `name`, if one is held."""
        key = comparison_key(name)
        return next(self._holders(key, self._looks(name, key)), None)

    def release(self, name: str, owner: Owner) -> None:
        """Let others claim `name`, if `owner` holds it in this spelling."""
        key = comparison_key(name)
        holding = self._held.get(key)
        if holding is None or holding.name != name or holding.owner is not owner:
            return
        del self._held[key]
        if looks := self._looks(name, key):
            self._remove(key, looks)

    def _holders(self, key: str, looks: _Looks | None) -> Iterator[Owner]:
        """Yield who holds a name that counts as the same; somebody who holds several may come several times."""
        if key in self._held:
            yield self._held[key].owner
        if looks is None:
            return
        for skeleton in looks.skeletons:
            previous = None
            for other, script in self._alike.get(skeleton, {}).items():
                owner = self._held[other].owner
                if looks.script is None or looks.script != script:
                    yield owner
                elif previous is not None and owner is not previous:
                    break  # names of several owners share a skeleton only if they are all of one script
                previous = owner

    def _looks(self, name: str, key: str) -> _Looks | None:
        if self._all_ascii:
            if name.isascii():
                return None
            self._all_ascii = False
            for other, holding in self._held.items():
                self._add(other, _looks_of(holding.name, other))
        return _looks_of(name, key)

    def _add(self, key: str, looks: _Looks) -> None:
        for skeleton in looks.skeletons:
            self._alike.setdefault(skeleton, {})[key] = looks.script

    def _remove(self, key: str, looks: _Looks) -> None:
        for skeleton in looks.skeletons:
            keys = self._alike[skeleton]
            del keys[key]
            if not keys:
                del self._alike[skeleton]


def _looks_of(name: str, key: str) -> _Looks:
    # Both as it is shown and in lower case: Cyrillic letters look like BOB only as capitals, and a capital I looks like
    # an l, so the Cyrillic twin of ALICE looks like alice only in lower case.
    shown = lookalikes.skeleton(name)
    return _Looks(lookalikes.script(name), {shown, shown if key == name else lookalikes.skeleton(key)})
