"""The effective configuration as TOML, with a comment for each key."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

import msgspec
import tomli_w

from trichat._config import Config, Options
from trichat._discovery import Choice
from trichat._network import Network


def render(config: Config, choices: Sequence[Choice]) -> str:
    """Return `config` as TOML that, read again, is the same configuration."""
    lines = ["[server]", *_keys(config.server)]
    for choice in choices:
        lines += ["", f"[{_key('plugins')}.{_key(choice.name)}]"]
        lines += ["# Whether the plugin runs.", _assignment("enabled", choice.enabled)]
        if choice.options is not None:
            lines += _keys(choice.options)
    return "\n".join(lines) + "\n"


def _keys(options: Options) -> Iterator[str]:
    for field in msgspec.structs.fields(options):
        for comment in _descriptions(field.type):
            yield from textwrap.wrap(comment, width=100, initial_indent="# ", subsequent_indent="# ")
        yield _assignment(field.name, getattr(options, field.name))


def _descriptions(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        yield from (metadata for metadata in get_args(annotation)[1:] if isinstance(metadata, str))


def _assignment(key: str, value: object) -> str:
    return tomli_w.dumps({key: _plain(value)}, multiline_strings=False).rstrip("\n")


def _key(key: str) -> str:
    """Quote a key where TOML wants it quoted."""
    return tomli_w.dumps({key: 0}).partition(" = ")[0]


def _plain(value: object) -> object:
    if isinstance(value, Network):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return value
