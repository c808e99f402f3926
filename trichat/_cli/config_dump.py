"""The effective configuration as TOML, with a comment for each key."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import tomli_w

from trichat._base.addresses import Network
from trichat._config.options import Config, Options
from trichat._config.plugin_policy import Policy
from trichat._plugins.loader import Choice


def render(config: Config, choices: Sequence[Choice]) -> str:
    """Return `config` as TOML. Reading the result gives the same configuration."""
    lines = ["[server]", *_keys(config.server)]
    for choice in choices:
        name = f"plugins.{_key(choice.name)}"
        lines += ["", f"[{name}]", "# Whether the plugin runs.", _assignment("enabled", choice.enabled)]
        lines += _chosen(choice.policy)
        if choice.options is not None:
            lines += [*_keys(choice.options), *_tables(choice.options, name)]
    return "\n".join(lines) + "\n"


def _keys(options: Options) -> Iterator[str]:
    for lines in keys(options).values():
        yield from lines


def keys(options: Options) -> dict[str, list[str]]:
    """Return the lines of each key that is not a table: its comments, and its value last."""
    found: dict[str, list[str]] = {}
    for field in msgspec.structs.fields(options):
        value = getattr(options, field.name)
        if not isinstance(value, Mapping):
            line = f"# {_key(field.name)} is not set" if value is None else _assignment(field.name, value)
            found[field.name] = [*_comments(field.type), line]
    return found


def _chosen(policy: Policy) -> Iterator[str]:
    """Yield the common keys of all plugins, but only those that differ from their defaults.

    In every table, all of them would hide the plugin's own options.
    """
    for key, lines in keys(policy).items():
        if key != "enabled" and getattr(policy, key) != getattr(Policy(), key):
            yield from lines


def _tables(options: Options, parent: str) -> Iterator[str]:
    """Yield the options that are tables. They must follow all keys, or TOML would read the keys as theirs."""
    for field in msgspec.structs.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, Mapping):
            yield ""
            yield from _comments(field.type)
            yield f"[{parent}.{_key(field.name)}]"
            yield from (_assignment(key, element) for key, element in value.items())


def _comments(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        for metadata in get_args(annotation)[1:]:
            if isinstance(metadata, str):
                yield from textwrap.wrap(metadata, width=100, initial_indent="# ", subsequent_indent="# ")


def _assignment(key: str, value: object) -> str:
    return tomli_w.dumps({key: _plain(value)}).rstrip("\n")


def _key(key: str) -> str:
    """Quote a key if TOML requires it."""
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def _plain(value: object) -> object:
    if isinstance(value, (Network, Path)):
        return str(value)
    if isinstance(value, (list, tuple, Set)):
        return [_plain(element) for element in value]
    return value
