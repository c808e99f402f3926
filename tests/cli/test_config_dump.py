"""The effective configuration as TOML: read again it is the same, and it explains itself."""

import re
import tomllib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Config, Meta, Network, Options, ServerOptions
from trichat._cli.config_dump import render
from trichat._config.options import to_options
from trichat._plugins.loader import Choice, choose_plugins

ASSIGNMENT = re.compile(r"(\w+) = ")


class TeaOptions(Options, frozen=True):
    """The options of a plugin, of every type that TOML has a value for."""

    text: Annotated[str, "What is said."] = "tea is ready"
    cups: Annotated[int, Meta(ge=0), "How many."] = 2
    strength: Annotated[float, "Between 0 and 1."] = 0.5
    milk: Annotated[bool, "Whether there is milk."] = False
    leaf: Annotated[Literal["black", "green"], "The leaf."] = "black"
    steep: Annotated[int | Literal["long"], 'Minutes, or "long".'] = 3
    guests: Annotated[tuple[str, ...], "Who is invited."] = ()
    times: Annotated[list[int], "Hours."] = msgspec.field(default_factory=list)
    allow: Annotated[tuple[Network, ...], "From where."] = (Network("::1"),)


class Tea:
    """Stands for a plugin; nothing here makes one."""


server_options = st.builds(
    ServerOptions,
    host=st.text(min_size=1),
    port=st.integers(0, 65535),
    max_clients=st.integers(1, 2**63 - 1),
    name_timeout=st.floats(min_value=0, max_value=86_400, exclude_min=True),
)

tea_options = st.builds(
    TeaOptions,
    text=st.text(),
    cups=st.integers(0, 2**63 - 1),
    strength=st.floats(allow_nan=False),
    milk=st.booleans(),
    leaf=st.sampled_from(["black", "green"]),
    steep=st.integers(-(2**63), 2**63 - 1) | st.just("long"),
    guests=st.lists(st.text()).map(tuple),
    times=st.lists(st.integers(0, 23)),
    allow=st.lists(st.ip_addresses().map(str).map(Network)).map(tuple),
)


def choices_of(config: Config) -> list[Choice]:
    """The plugins that are installed, as `config` wants them, wherever it came from."""
    faults: list[str] = []
    choices = choose_plugins(config, [], faults)
    assert faults == []
    return [choice._replace(place="") for choice in choices]


def read(text: str) -> Config:
    return Config.from_tables(tomllib.loads(text))


def comment_above(lines: Sequence[str], index: int) -> list[str]:
    """The lines of comment right above a line."""
    start = index
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return list(lines[start:index])


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(Config(), id="the defaults"),
        pytest.param(Config(server=ServerOptions(host="::", port=0, hook_timeout=0.25)), id="another server"),
        pytest.param(
            Config(
                plugins={
                    "stop": {"allow": ["0.0.0.0/0", "10.0.0.7", "::/0"]},
                    "chat_log": {"replay": "all", "path": 'C:\\a "log"\n', "presence": False},
                    "blacklist": {"addresses": []},
                    "seen": {"enabled": False},
                }
            ),
            id="other plugins",
        ),
        pytest.param(Config(plugins={"stop": {"enabled": False, "allow": []}}), id="a disabled plugin with options"),
    ],
)
def test_what_is_printed_is_the_same_configuration_when_it_is_read_again(config: Config) -> None:
    choices = choices_of(config)

    again = read(render(config, choices))

    assert again.server == config.server
    assert choices_of(again) == choices


@given(server=server_options, tea=tea_options, enabled=st.booleans())
def test_any_values_are_the_same_when_they_are_read_again(
    server: ServerOptions, tea: TeaOptions, enabled: bool
) -> None:
    again = read(render(Config(server=server), [Choice("tea", Tea, tea, enabled)]))

    table: dict[str, Any] = dict(again.plugins["tea"])
    assert again.server == server
    assert table.pop("enabled") is enabled
    assert to_options(TeaOptions, table, Config().place("plugins", "tea"), []) == tea


def test_what_is_printed_twice_is_the_same_text() -> None:
    once = render(Config(), choices_of(Config()))

    assert render(read(once), choices_of(read(once))) == once


def test_every_key_is_printed_whether_it_was_set_or_not() -> None:
    tables = tomllib.loads(render(Config(), [Choice("tea", Tea, TeaOptions(), True)]))

    assert list(tables) == ["server", "plugins"]
    assert list(tables["server"]) == list(ServerOptions.__struct_fields__)
    assert list(tables["plugins"]["tea"]) == ["enabled", *TeaOptions.__struct_fields__]


def test_every_key_of_the_server_and_of_every_installed_plugin_has_a_comment() -> None:
    lines = render(Config(), choices_of(Config())).splitlines()
    keys = {index: match[1] for index, line in enumerate(lines) if (match := ASSIGNMENT.match(line))}

    assert len(keys) >= len(ServerOptions.__struct_fields__)
    assert [key for index, key in keys.items() if not comment_above(lines, index)] == []


def test_a_comment_is_what_the_option_says_of_itself() -> None:
    lines = render(Config(), [Choice("tea", Tea, TeaOptions(), False)]).splitlines()

    start = lines.index("[plugins.tea]")
    assert lines[start : start + 7] == [
        "[plugins.tea]",
        "# Whether the plugin runs.",
        "enabled = false",
        "# What is said.",
        'text = "tea is ready"',
        "# How many.",
        "cups = 2",
    ]


def test_a_long_comment_is_wrapped() -> None:
    class LongOptions(Options, frozen=True):
        key: Annotated[int, "word " * 50] = 1

    text = render(Config(), [Choice("long", Tea, LongOptions(), True)])

    lines = text[text.index("[plugins.long]") :].splitlines()[3:-1]
    assert len(lines) == 3
    assert all(line.startswith("# word ") and len(line) <= 100 for line in lines)
    assert " ".join(lines).count("word") == 50


def test_a_plugin_without_options_can_only_be_turned_off() -> None:
    assert tomllib.loads(render(Config(), [Choice("tea", Tea, None, True)]))["plugins"] == {"tea": {"enabled": True}}


def test_without_plugins_only_the_server_is_printed() -> None:
    text = render(Config(), [])

    assert list(tomllib.loads(text)) == ["server"]
    assert read(text).server == ServerOptions()
    assert text.endswith("\n")


@pytest.mark.parametrize("name", ["tea", "tea_2", "tea-time", "tea.time", "green tea", 'the "tea"', "tee\n", "茶", ""])
def test_a_plugin_may_have_any_name(name: str) -> None:
    assert list(tomllib.loads(render(Config(), [Choice(name, Tea, TeaOptions(), True)]))["plugins"]) == [name]


def test_plugins_keep_their_order() -> None:
    names = ["zebra", "ant", "mole"]

    tables = tomllib.loads(render(Config(), [Choice(name, Tea, None, True) for name in names]))

    assert list(tables["plugins"]) == names
