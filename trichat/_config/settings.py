"""Settings of the command line (`--set TABLE.KEY=VALUE`), which override the file; and the places named in faults."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

Keys = tuple[str, ...]
"""The keys that lead to a value of the configuration: `("plugins", "stop", "allow")`."""


class Setting(NamedTuple):
    """A key of the configuration, and its new value."""

    keys: Keys
    value: object


def parse_setting(text: str) -> Setting:
    """Parse `TABLE.KEY=VALUE`. A value that is not TOML is a string. Raises `ValueError`."""
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{text!a} is not UTF-8")
    dotted, equals, value = text.partition("=")
    keys = _keys(dotted)
    if not equals or len(keys) < 2:
        raise ValueError(f"{text!r} is not of the form TABLE.KEY=VALUE, such as server.port=2048")
    return Setting(keys, _value(value))


def _keys(dotted: str) -> Keys:
    table = _toml(f"{dotted} = 0")
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        [(key, table)] = table.items()
        keys.append(key)
    return tuple(keys)


def _value(text: str) -> object:
    table = _toml(f"value = {text}")
    return text if table is None or len(table) > 1 else table["value"]


def _toml(text: str) -> dict[str, Any] | None:
    import tomllib  # not needed without settings and without a file

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def with_settings(tables: Mapping[str, object], settings: Sequence[Setting]) -> tuple[dict[str, object], Set[Keys]]:
    """Return `tables` with the settings applied, and the keys that were set. The last setting of a key wins."""
    result = dict(tables)
    given = set[Keys]()
    for setting in settings:
        table = result
        for depth, key in enumerate(setting.keys[:-1], 1):
            inner = table.get(key)
            if not isinstance(inner, dict):
                given.add(setting.keys[:depth])
                inner = {}
            table[key] = table = dict(inner)
        table[setting.keys[-1]] = setting.value
        given.add(setting.keys)
    return result, given


class Place(NamedTuple):
    """The origin of a value, as people read it: `trichat.toml: server.port` or `--set server.port`."""

    source: str
    keys: Keys
    given: Set[Keys] = frozenset()
    """The keys that come from the command line."""

    def at(self, key: str) -> "Place":
        """Return the place of a key in this table."""
        return self._replace(keys=(*self.keys, key))

    def __str__(self) -> str:
        is_given = any(self.keys[:depth] in self.given for depth in range(1, len(self.keys) + 1))
        return f"{'--set ' if is_given else f'{self.source}: '}{'.'.join(self.keys)}"
