"""The configuration: a good file is read, and every fault of a bad one is named by its place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Config, ConfigError, Meta, Network, Options, PluginError, ServerOptions, load_config
from trichat._config.options import checked, in_trial, read_config, to_options
from trichat._config.settings import Place, Setting

TEA = Place("chat.toml", ("plugins", "tea"))
"""Its table."""


class TeaOptions(Options, frozen=True):
    """The options of a plugin, of every type that TOML has a value for."""

    text: str = "tea is ready"
    cups: Annotated[int, Meta(ge=1, le=12), "How many."] = 2
    strength: float = 0.5
    milk: bool = False
    leaf: Literal["black", "green"] = "black"
    steep: Annotated[int, Meta(ge=0)] | Literal["long"] = 3
    guests: tuple[str, ...] = ()
    times: Annotated[tuple[Annotated[int, Meta(ge=0, le=23)], ...], "Hours."] = ()
    rooms: list[str] = msgspec.field(default_factory=list)
    allow: tuple[Network, ...] = (Network("::1"),)


class NeedyOptions(Options, frozen=True):
    """Options that somebody has to give."""

    token: str
    port: int
    host: str = "localhost"


def faults_of(tables: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        Config.from_tables(tables, "chat.toml")
    return list(error.value.faults)


def faults_if_any(tables: Mapping[str, object]) -> Sequence[str]:
    try:
        Config.from_tables(tables, "chat.toml")
    except ConfigError as error:
        return error.faults
    return ()


def faults_of_options(cls: type[Options], table: Mapping[str, object]) -> list[str]:
    faults: list[str] = []
    assert to_options(cls, table, TEA, faults) is None
    return faults


def write(folder: Path, text: str) -> Path:
    path = folder / "chat.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [server]
        host = "127.0.0.1"
        port = 2048
        name_timeout = 10

        [plugins.chat_log]
        path = "talk.txt"

        [plugins.tea]
        """,
    )

    assert load_config(path) == Config(
        server=ServerOptions(host="127.0.0.1", port=2048, name_timeout=10.0),
        plugins={"chat_log": {"path": "talk.txt"}, "tea": {}},
        source=str(path),
    )


def test_what_a_file_does_not_say_has_its_default(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "")) == Config(source=str(tmp_path / "chat.toml"))
    assert load_config(write(tmp_path, "[server]\nport = 0")).server == ServerOptions(port=0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"

    with pytest.raises(ConfigError) as error:
        load_config(path)

    assert error.value.faults == (f"{path}: cannot be read (No such file or directory)",)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path)

    assert error.value.faults == (f"{tmp_path}: cannot be read (Is a directory)",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"[server\n", "line 1", id="a table without an end"),
        pytest.param(b"[server]\nport 1024", "line 2", id="a key without a value"),
        pytest.param(b"[server]\nport = 1\nport = 2\n", "line 3", id="a key twice"),
        pytest.param(b"[server]\n[server]", "line 2", id="a table twice"),
        pytest.param(b'[server]\nhost = "\xff"', "can't decode byte 0xff", id="not UTF-8"),
        pytest.param(b"[server]\nport = " + b"1" * 5000, "limit", id="a number that is too long"),
        pytest.param(b"a = " + b"[" * 2000, "recursion", id="nested too deep"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "chat.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as error:
        load_config(path)

    (fault,) = error.value.faults
    assert fault.startswith(f"{path}: is not TOML (")
    assert why in fault


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        pytest.param({"sever": {}}, "sever: unknown table (did you mean 'server'?)", id="a table misspelt"),
        pytest.param({"plugin": {}}, "plugin: unknown table (did you mean 'plugins'?)", id="another table misspelt"),
        pytest.param({"xyz": {}}, "xyz: unknown table", id="a table like none"),
        pytest.param({"port": 1024}, "port: unknown key", id="a key outside its table"),
        pytest.param({"server": 5}, "server: Expected a table (here: 5)", id="a value for a table"),
        pytest.param(
            {"server": [{"port": 1}]}, "server: Expected a table (here: [{'port': 1}])", id="a list of tables"
        ),
        pytest.param({"plugins": "tea"}, "plugins: Expected a table (here: 'tea')", id="a value for all plugins"),
        pytest.param({"plugins": {"tea": 1}}, "plugins.tea: Expected a table (here: 1)", id="a value for a plugin"),
        pytest.param({"server": {"prot": 1}}, "server.prot: unknown key (did you mean 'port'?)", id="a key misspelt"),
        pytest.param({"server": {"xyz": 1}}, "server.xyz: unknown key", id="a key like none"),
        pytest.param(
            {"server": {"port": "x"}}, "server.port: Expected `int`, got `str` (here: 'x')", id="a string for a number"
        ),
        pytest.param(
            {"server": {"port": True}}, "server.port: Expected `int`, got `bool` (here: True)", id="a bool for a number"
        ),
        pytest.param(
            {"server": {"port": 10.5}}, "server.port: Expected `int`, got `float` (here: 10.5)", id="a fraction"
        ),
        pytest.param(
            {"server": {"host": ["::"]}}, "server.host: Expected `str`, got `array` (here: ['::'])", id="a list"
        ),
        pytest.param(
            {"server": {"host": ""}}, "server.host: Expected `str` of length >= 1 (here: '')", id="an empty string"
        ),
        pytest.param({"server": {"port": -1}}, "server.port: Expected `int` >= 0 (here: -1)", id="too small"),
        pytest.param({"server": {"port": 65536}}, "server.port: Expected `int` <= 65535 (here: 65536)", id="too great"),
    ],
)
def test_a_fault_is_named_with_its_place_and_value(tables: Mapping[str, object], fault: str) -> None:
    assert faults_of(tables) == [f"chat.toml: {fault}"]


@pytest.mark.parametrize(
    ("key", "least", "too_little"),
    [
        ("port", 0, -1),
        ("max_clients", 1, 0),
        ("max_clients_per_address", 1, 0),
        ("max_line_bytes", 64, 63),
        ("backlog_bytes", 4096, 4095),
        ("name_timeout", 0.001, 0),
        ("send_timeout", 0.001, 0),
        ("hook_timeout", 0.001, 0),
        ("shutdown_timeout", 0.001, 0.0),
    ],
)
def test_a_number_has_a_least_value(key: str, least: float, too_little: float) -> None:
    assert getattr(Config.from_tables({"server": {key: least}}).server, key) == least
    (fault,) = faults_of({"server": {key: too_little}})
    assert fault.startswith(f"chat.toml: server.{key}: Expected ")
    assert fault.endswith(f" (here: {too_little!r})")


@pytest.mark.parametrize(
    ("key", "most", "too_much"),
    [
        ("port", 65535, 65536),
        ("max_line_bytes", 1_048_576, 1_048_577),
        ("name_timeout", 86_400, 86_401),
        ("send_timeout", 86_400, float("inf")),
        ("hook_timeout", 86_400, float("inf")),
        ("shutdown_timeout", 86_400, float("nan")),
    ],
)
def test_a_number_that_everyone_waits_or_pays_for_has_a_greatest_value(key: str, most: float, too_much: float) -> None:
    assert getattr(Config.from_tables({"server": {key: most}}).server, key) == most
    (fault,) = faults_of({"server": {key: too_much}})
    assert fault.startswith(f"chat.toml: server.{key}: Expected ")
    assert fault.endswith(f" (here: {too_much!r})")


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        motd = "hi"
        [server]
        port = "x"
        prot = 1
        hook_timeout = 0
        [plugin.tea]
        [plugins]
        tea = 5
        """,
    )

    with pytest.raises(ConfigError) as error:
        load_config(path)

    assert error.value.faults == (
        f"{path}: motd: unknown key",
        f"{path}: plugin: unknown table (did you mean 'plugins'?)",
        f"{path}: server.port: Expected `int`, got `str` (here: 'x')",
        f"{path}: server.prot: unknown key (did you mean 'port'?)",
        f"{path}: server.hook_timeout: Expected `float` > 0.0 (here: 0)",
        f"{path}: plugins.tea: Expected a table (here: 5)",
    )


def test_a_default_stands_in_for_what_is_wrong_and_for_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = -1\nhost = '::'\n[plugins.tea]\ncups = 3")
    faults = ["one from before"]

    config = read_config(path, faults)

    assert config == Config(server=ServerOptions(host="::"), plugins={"tea": {"cups": 3}}, source=str(path))
    assert faults == ["one from before", f"{path}: server.port: Expected `int` >= 0 (here: -1)"]


def test_a_default_stands_in_for_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    faults: list[str] = []

    assert read_config(path, faults) == Config(source=str(path))
    assert len(faults) == 1


def test_settings_go_before_the_file_and_are_named_where_they_are_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = 2048\nmax_clients = 0\n[plugins.tea]\ncups = 3\nmilk = true\n")
    faults: list[str] = []
    settings = [
        Setting(("server", "host"), "::1"),
        Setting(("server", "backlog_bytes"), 7),
        Setting(("plugins", "tea", "cups"), 4),
        Setting(("sever", "port"), 7),
        Setting(("server", "max_clients"), 5),
    ]

    config = read_config(path, faults, settings)

    assert config.server == ServerOptions(host="::1", port=2048, max_clients=5)
    assert config.plugins == {"tea": {"cups": 4, "milk": True}}
    assert faults == [
        "--set sever: unknown table (did you mean 'server'?)",
        "--set server.backlog_bytes: Expected `int` >= 4096 (here: 7)",
    ]
    assert str(config.place("plugins", "tea", "cups")) == "--set plugins.tea.cups"
    assert str(config.place("plugins", "tea", "milk")) == f"{path}: plugins.tea.milk"


def test_settings_need_no_file() -> None:
    assert read_config(None, [], [Setting(("server", "port"), 0)]).server == ServerOptions(port=0)
    assert read_config(None, []) == Config()


def test_a_plugin_has_the_options_of_its_table() -> None:
    faults: list[str] = []
    table = {
        "text": "coffee",
        "cups": 12,
        "strength": 1,
        "milk": True,
        "leaf": "green",
        "steep": "long",
        "guests": ["alice", "bob"],
        "times": [7, 16],
        "rooms": ["lobby"],
        "allow": ["10.0.0.0/8", "2001:db8::1"],
    }

    assert to_options(TeaOptions, table, TEA, faults) == TeaOptions(
        text="coffee",
        cups=12,
        strength=1.0,
        milk=True,
        leaf="green",
        steep="long",
        guests=("alice", "bob"),
        times=(7, 16),
        rooms=["lobby"],
        allow=(Network("10.0.0.0/8"), Network("2001:db8::1")),
    )
    assert faults == []


def test_a_plugin_has_its_defaults_without_a_table() -> None:
    assert to_options(TeaOptions, {}, TEA, []) == TeaOptions()


@pytest.mark.parametrize(
    ("table", "faults"),
    [
        pytest.param({"cup": 1}, ["cup: unknown key (did you mean 'cups'?)"], id="a key misspelt"),
        pytest.param({"cups": 13}, ["cups: Expected `int` <= 12 (here: 13)"], id="beyond a limit"),
        pytest.param({"leaf": "red"}, ["leaf: Expected 'black' or 'green' (here: 'red')"], id="none of the choices"),
        pytest.param({"steep": -1}, ["steep: Expected `int` >= 0 (here: -1)"], id="a number for a number or a word"),
        pytest.param({"steep": "x"}, ["steep: Expected `int` or 'long' (here: 'x')"], id="another word"),
        pytest.param({"guests": "bob"}, ["guests: Expected `array`, got `str` (here: 'bob')"], id="no list"),
        pytest.param({"guests": ["a", 5]}, ["guests[1]: Expected `str`, got `int` (here: 5)"], id="an element"),
        pytest.param({"rooms": [5, "a"]}, ["rooms[0]: Expected `str`, got `int` (here: 5)"], id="another list"),
        pytest.param(
            {"times": [7, 24, 16, -1]},
            ["times[1]: Expected `int` <= 23 (here: 24)", "times[3]: Expected `int` >= 0 (here: -1)"],
            id="two elements",
        ),
        pytest.param(
            {"allow": ["::1", "10.0.0.7/8", "nowhere", 5]},
            [
                "allow[1]: '10.0.0.7/8' has bits beyond its prefix; the network is '10.0.0.0/8'",
                "allow[2]: 'nowhere' is not an IP address or network",
                "allow[3]: Expected an address or a network, as a string (here: 5)",
            ],
            id="networks",
        ),
        pytest.param(
            {"text": 1, "milk": 0},
            ["text: Expected `str`, got `int` (here: 1)", "milk: Expected `bool`, got `int` (here: 0)"],
            id="two keys",
        ),
    ],
)
def test_a_fault_of_an_option_is_named_with_its_place(table: Mapping[str, object], faults: list[str]) -> None:
    assert faults_of_options(TeaOptions, table) == [f"chat.toml: plugins.tea.{fault}" for fault in faults]


def test_an_option_without_a_default_has_to_be_there() -> None:
    assert faults_of_options(NeedyOptions, {"host": "a"}) == [
        "chat.toml: plugins.tea.token: is missing",
        "chat.toml: plugins.tea.port: is missing",
    ]
    assert faults_of_options(NeedyOptions, {"token": "x", "port": "y"}) == [
        "chat.toml: plugins.tea.port: Expected `int`, got `str` (here: 'y')"
    ]
    assert to_options(NeedyOptions, {"token": "x", "port": 1}, TEA, []) == NeedyOptions(token="x", port=1)


def test_earlier_faults_do_not_spoil_good_options() -> None:
    faults = ["one from before"]

    assert to_options(TeaOptions, {"cups": 3}, TEA, faults) == TeaOptions(cups=3)
    assert faults == ["one from before"]


class DiaryOptions(Options, frozen=True):
    """Options of which a trial has others."""

    path: str = "/var/lib/diary.txt"
    photos: Path = Path("/var/lib/photos")
    patience: float = 60.0
    words: int = 100

    @classmethod
    def for_trial(cls, folder: Path) -> Mapping[str, object]:
        return {"path": folder / "diary.txt", "photos": folder / "photos", "patience": 0.1}


def test_in_a_trial_options_are_what_their_class_says_unless_the_table_says_otherwise() -> None:
    table = in_trial(DiaryOptions, {"patience": 7, "words": 1}, Path("/tmp/trial"))
    assert to_options(DiaryOptions, table, TEA, []) == DiaryOptions(
        path="/tmp/trial/diary.txt", photos=Path("/tmp/trial/photos"), patience=7, words=1
    )


def test_options_have_nothing_else_for_a_trial_unless_they_say_so() -> None:
    assert in_trial(TeaOptions, {"cups": 4}, Path("/tmp/trial")) == {"cups": 4}


def test_options_cannot_be_changed() -> None:
    options = ServerOptions()

    with pytest.raises(AttributeError):
        options.port = 1  # type: ignore[misc]


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=5,
)
toml_keys = st.sampled_from(["server", "plugins", "sever", *ServerOptions.__struct_fields__]) | st.text(max_size=5)


@given(st.dictionaries(toml_keys, toml_values | st.dictionaries(toml_keys, toml_values, max_size=5), max_size=3))
def test_whatever_the_tables_hold_each_fault_has_its_place(tables: dict[str, object]) -> None:
    assert all(fault.startswith("chat.toml: ") for fault in faults_if_any(tables))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "returns None; expected a dictionary"),
        ([1], r"returns \[1\]; expected a dictionary"),
        (KeyError, "failed: KeyError"),
    ],
    ids=["nothing", "a list", "raises"],
)
def test_what_a_trial_cannot_use_is_one_sentence(table: object, reason: str) -> None:
    class Odd(Options, frozen=True):
        @classmethod
        def for_trial(cls, folder: Path) -> Mapping[str, object]:
            if table is KeyError:
                raise KeyError
            return table  # type: ignore[return-value]

    with pytest.raises(PluginError, match=rf"^Odd\.for_trial {reason}"):
        in_trial(Odd, {}, Path())


# What a program has built by hand.


def test_options_built_by_hand_get_their_types() -> None:
    server = ServerOptions(port=2048, operators=("127.0.0.1", Network("::1")), hook_timeout=5)  # type: ignore[arg-type]
    config = checked(Config(server=server, plugins={"tea": {"cups": 3}}))
    assert config.server == ServerOptions(port=2048, operators=(Network("127.0.0.1"), Network("::1")))
    assert config.plugins == {"tea": {"cups": 3}}


def test_every_fault_of_options_built_by_hand_is_told() -> None:
    server = ServerOptions(port="2048", operators=("here",), hook_timeout=0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as refused:
        checked(Config(server=server))
    assert [fault.partition(": Expected")[0] for fault in refused.value.faults] == [
        "ServerOptions: port",
        "ServerOptions: operators: 'here' is not an IP address or network - at `$[0]` (here: ('here',))",
        "ServerOptions: hook_timeout",
    ]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"server": {}}, "the configuration must be a Config, not {'server': {}}"),
        ("chat.toml", "the configuration must be a Config, not 'chat.toml'"),
        (Config(server={}), "the configuration's `server` must be ServerOptions, not {}"),  # type: ignore[arg-type]
        (Config(plugins=["tea"]), "the configuration's `plugins` must be a dictionary of tables, not ['tea']"),  # type: ignore[arg-type]
        (Config(plugins={"tea": 3}), "the configuration's table of a plugin must be a dictionary, not 3"),  # type: ignore[dict-item]
    ],
)
def test_what_is_not_a_configuration_is_refused_in_one_sentence(config: Config, told: str) -> None:
    with pytest.raises(TypeError) as refused:
        checked(config)
    assert str(refused.value) == f"{told}; build it with Config.from_tables or load_config"


@pytest.mark.parametrize("tables", [None, 5, "server", [("server", {})]])
def test_tables_are_a_dictionary(tables: object) -> None:
    with pytest.raises(TypeError, match="a configuration is built from a dictionary of tables, not "):
        Config.from_tables(tables)  # type: ignore[arg-type]


def test_a_file_may_be_named_by_a_string(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text("server.port = 2048")
    assert load_config(f"{tmp_path}/chat.toml").server.port == 2048
