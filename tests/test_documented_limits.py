"""Compares `docs/limits.md` with the code: every number is right, and none is missing."""

import importlib
import re
import socket
from collections.abc import Iterator
from typing import NamedTuple, get_args

import msgspec
import pytest
from page_kit import ROOT

from trichat import Config, Options, ServerOptions
from trichat._config.options import Seconds
from trichat._config.plugin_policy import Policy
from trichat._net.listener import _SOCKET_OPTIONS
from trichat._plugins.loader import choose_plugins

TEXT = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
UNITS = {"": 1, " s": 1, " MiB": 1024 * 1024}
OPTIONS: dict[str, type[Options]] = {
    "`[server]`": ServerOptions,
    "every plugin": Policy,
    **{
        f"`[plugins.{choice.name}]`": type(choice.options)
        for choice in choose_plugins(Config(), (), [])
        if choice.options
    },
}


class Limit(NamedTuple):
    """A row of a table."""

    number: float
    key: str
    place: str
    """A file, or a table of the configuration."""

    def __str__(self) -> str:
        return f"{self.key} {self.place}"


def limits() -> Iterator[Limit]:
    for number, unit, key, place in re.findall(
        r"^\| [^|]+ \| ([\d,.]+)( \w+)? \| `(\w+)` (?:in|of) ([^|]+) \| [^|]+ \|$", TEXT, re.MULTILINE
    ):
        yield Limit(float(number.replace(",", "")) * UNITS[unit], key, place)


LIMITS = list(limits())


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_each_number_is_that_of_the_code(limit: Limit) -> None:
    if limit.place in OPTIONS:
        real = {field.name: field.default for field in msgspec.structs.fields(OPTIONS[limit.place])}[limit.key]
    else:
        module = limit.place.strip("`").removeprefix("plugins/").removesuffix(".py").replace("/", ".")
        real = getattr(importlib.import_module(module), limit.key)
    assert real == limit.number


def test_each_row_is_a_limit() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| limit |")]
    assert len(rows) == len(LIMITS)


@pytest.mark.parametrize("place", OPTIONS)
def test_no_number_of_the_configuration_is_missing(place: str) -> None:
    numbers = {
        field.name
        for field in msgspec.structs.fields(OPTIONS[place])
        if isinstance(field.default, int | float) and not isinstance(field.default, bool) and field.name != "port"
    }
    assert numbers - {limit.key for limit in LIMITS if limit.place == place} == set()


def test_the_sentences_have_the_numbers_of_the_code() -> None:
    _, limits_of_seconds, *_ = get_args(Seconds)
    assert f"at most {limits_of_seconds.le:,} seconds" in TEXT
    kernel = {option: value for _, option, value in _SOCKET_OPTIONS}
    idle, interval = kernel[socket.TCP_KEEPIDLE], kernel[socket.TCP_KEEPINTVL]
    asked = f"After {idle} seconds of silence the kernel asks the other side every {interval} seconds"
    assert asked in " ".join(TEXT.split())
    assert kernel[socket.TCP_KEEPCNT] == 6  # "six times"
