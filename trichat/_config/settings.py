"""What the command line sets over the file: `--set TABLE.KEY=VALUE`, and where a fault says that a value is from."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

Keys = tuple[str, ...]
"""The way from the whole configuration to a value: `("plugins", "stop", "allow")`."""


class Setting(NamedTuple):
    """A value of the configuration, and what it is to be."""

    keys: Keys
    value: object


def parse_setting(text: str) -> Setting:
    """Read `TABLE.KEY=VALUE`. The value is TOML, or else a string. Raises `ValueError`."""
    dotted, equals, value = text.partition("=")
    keys = _keys(dotted)
    if not equals or len(keys) < 2:
        raise ValueError(f"{text!r} is not TABLE.KEY=VALUE, such as server.port=2048")
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
    import tomllib  # nobody needs it who sets nothing and has no file

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def with_settings(tables: Mapping[str, object], settings: Sequence[Setting]) -> tuple[dict[str, object], Set[Keys]]:
    """Return `tables` with the settings in them, and the keys that are not as in `tables`. The last setting wins."""
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
    """Where a value of the configuration is, for people to read: `trichat.toml: server.port`, `--set server.port`."""

    source: str
    keys: Keys
    given: Set[Keys] = frozenset()
    """What is from the command line."""

    def at(self, key: str) -> "Place":
        """Return the place of a key in this table."""
        return self._replace(keys=(*self.keys, key))

    def __str__(self) -> str:
        is_given = any(self.keys[:depth] in self.given for depth in range(1, len(self.keys) + 1))
        return f"{'--set ' if is_given else f'{self.source}: '}{'.'.join(self.keys)}"
