"""What the configuration makes of the plugins that were found."""

import importlib.metadata
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from trichat import Config, ConfigError, Options, PluginError, hookimpl, load_plugins
from trichat._plugins import discovery
from trichat._plugins.loader import build_plugins, choose_plugins

BUILT_IN = ["blacklist", "bye", "chat_log", "commands", "operators", "seen", "stop"]

# A plugin that is a module.
QUIET = """
from trichat import Refuse, hookimpl

@hookimpl
def on_message(client, message):
    return Refuse("quiet, please")
"""

# A plugin that is a class with options.
TEA = """
from typing import Annotated
from trichat import Options, hookimpl

class TeaOptions(Options, frozen=True):
    text: Annotated[str, "What is said."] = "tea is ready"
    cups: int = 2

class Tea:
    def __init__(self, options: TeaOptions) -> None:
        self.options = options

    @hookimpl
    def on_reload(self):
        ...
"""

# A plugin that is a class without options.
CAKE = """
from trichat import hookimpl

class Cake:
    @hookimpl
    def on_reload(self):
        ...
"""

# A plugin that finds something wrong with what it was given.
PICKY = """
from trichat import ConfigError, Options, hookimpl

class PickyOptions(Options, frozen=True):
    file: str = "none"

class Picky:
    def __init__(self, options: PickyOptions) -> None:
        raise ConfigError([f"{options.file}: cannot be read", f"{options.file}: is not nice"])

    @hookimpl
    def on_reload(self):
        ...
"""

# A plugin that cannot be built.
BROKEN = """
from trichat import hookimpl

class Broken:
    def __init__(self) -> None:
        raise LookupError("no such thing")

    @hookimpl
    def on_reload(self):
        ...
"""


class PotOptions(Options, frozen=True):
    cups: int = 2


class TeaPot:
    """A plugin that a program has at hand: nobody has to import it."""

    def __init__(self, options: PotOptions) -> None:
        self.cups = options.cups

    @hookimpl
    def on_reload(self) -> None:
        pass


Write = Callable[[str, str], Path]
Install = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module of this name into a folder where imports find it. What was imported from there is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        return path

    yield write
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Let another package be installed that has this entry point."""
    installed: list[EntryPoint] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == "trichat"
        return [*importlib.metadata.entry_points(group=group), *installed]

    def install(name: str, value: str) -> None:
        installed.append(EntryPoint(name, value, "trichat"))
        discovery._points.cache_clear()

    monkeypatch.setattr(discovery, "entry_points", entry_points)
    discovery._points.cache_clear()
    yield install
    discovery._points.cache_clear()


def config(**tables: Mapping[str, object]) -> Config:
    return Config(plugins=tables, source="chat.toml")


def faults_of(config: Config, *extra: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_plugins(config, extra)
    return list(error.value.faults)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_plugin_runs_by_its_entry_point_without_being_named(name: str) -> None:
    plugin = load_plugins(Config())[name]

    assert type(plugin).__module__ == f"trichat_plugins.{name}"


def test_every_built_in_plugin_is_announced_by_an_entry_point() -> None:
    announced = {point.name: point for point in importlib.metadata.entry_points(group="trichat")}

    for name in BUILT_IN:
        assert announced[name].module == f"trichat_plugins.{name}"
        assert getattr(announced[name].dist, "name", None) == "trichat"


def test_installed_plugins_are_in_the_order_of_their_names(write: Write, install: Install) -> None:
    write("strange_cake", CAKE)
    install("cake_between_bye_and_chat_log", "strange_cake:Cake")

    names = list(load_plugins(config(cake_between_bye_and_chat_log={})))

    assert names == sorted(names)
    assert {*BUILT_IN, "cake_between_bye_and_chat_log"} <= set(names)


def test_plugins_that_are_added_come_last_in_the_order_given(write: Write) -> None:
    added = [str(write(name, CAKE)) for name in ("zebra", "ant", "mole")]

    names = list(load_plugins(Config(), added))

    assert names[-3:] == ["zebra", "ant", "mole"]
    assert names[:-3] == list(load_plugins(Config()))


@pytest.mark.parametrize("name", ["bye", "tea"], ids=["a built-in one", "another added one"])
def test_a_plugin_that_is_called_like_another_one_is_refused(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    added = [str(write("tea", TEA)), str(write(f"elsewhere/{name}", CAKE))]

    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), added)

    first = "trichat" if name == "bye" else added[0]
    assert str(refusal.value) == (
        f"there are two plugins named {name!r} ({first} and {added[1]}); rename the one that you add"
    )


def test_a_stranger_cannot_take_the_place_of_a_built_in_plugin(write: Write, install: Install) -> None:
    write("strange_cake", CAKE)
    install("stop", "strange_cake:Cake")

    with pytest.raises(PluginError, match="there are two plugins named 'stop'"):
        load_plugins(config(stop={}))


def test_a_plugin_is_made_anew_for_each_server() -> None:
    assert load_plugins(Config())["bye"] is not load_plugins(Config())["bye"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_disabled_plugin_is_not_made(name: str) -> None:
    plugins = load_plugins(config(**{name: {"enabled": False}}))

    assert name not in plugins
    assert set(BUILT_IN) - {name} <= set(plugins)


def test_a_disabled_plugin_is_still_known_with_its_options() -> None:
    faults: list[str] = []

    choices = choose_plugins(config(chat_log={"enabled": False, "path": "x"}), [], faults)

    (choice,) = [choice for choice in choices if choice.name == "chat_log"]
    assert not choice.enabled
    assert getattr(choice.options, "path", None) == "x"
    assert faults == []


def test_a_disabled_plugin_that_cannot_be_made_does_no_harm(write: Write) -> None:
    path = write("broken", BROKEN)

    assert "broken" not in load_plugins(config(broken={"enabled": False}), [str(path)])


def test_a_file_is_a_plugin_by_the_name_of_the_file(write: Write) -> None:
    plugin = load_plugins(Config(), [str(write("quiet", QUIET))])["quiet"]

    assert isinstance(plugin, ModuleType)
    assert hasattr(plugin, "on_message")


def test_a_file_may_be_named_from_the_current_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("quiet", QUIET).parent)

    assert "quiet" in load_plugins(Config(), ["quiet.py"])


def test_a_module_is_a_plugin_by_the_last_part_of_its_name(write: Write, tmp_path: Path) -> None:
    (tmp_path / "manners").mkdir()
    write("manners/__init__", "")
    write("manners/quiet", QUIET)

    assert load_plugins(Config(), ["manners.quiet"])["quiet"] is sys.modules["manners.quiet"]


def test_a_file_with_a_class_that_has_hooks_is_that_class(write: Write) -> None:
    plugin = load_plugins(Config(), [str(write("cake", CAKE))])["cake"]

    assert type(plugin).__name__ == "Cake"


def test_a_module_with_a_class_that_has_hooks_is_that_class(write: Write) -> None:
    write("cake", CAKE)

    plugin = load_plugins(Config(), ["cake"])["cake"]

    assert type(plugin) is vars(sys.modules["cake"])["Cake"]


def test_a_class_that_inherits_its_hooks_is_the_plugin(write: Write) -> None:
    path = write("tea", "from trichat_plugins.bye import Bye\n\nclass Tea(Bye):\n    ...\n")

    assert type(load_plugins(Config(), [str(path)])["tea"]).__name__ == "Tea"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        pytest.param(CAKE + TEA, "Cake and Tea", id="two classes"),
        pytest.param(QUIET + CAKE, "trichat_plugin_file.mixed and Cake", id="functions and a class"),
    ],
)
def test_a_file_with_two_plugins_is_refused_naming_both(write: Write, source: str, names: str) -> None:
    path = write("mixed", source)

    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), [str(path)])

    assert str(refusal.value) == f"{path}: {names} have hooks; a module can hold only one plugin"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("class Helper:\n    pass\n", id="a class without hooks"),
        pytest.param("from trichat_plugins.bye import Bye\n", id="a class of another module"),
    ],
)
def test_only_a_class_of_the_file_with_hooks_is_the_plugin(write: Write, before: str) -> None:
    of_a_class = load_plugins(Config(), [str(write("cake", before + CAKE))])["cake"]
    of_a_module = load_plugins(Config(), [str(write("quiet", before + QUIET))])["quiet"]

    assert type(of_a_class).__name__ == "Cake"
    assert isinstance(of_a_module, ModuleType)


def test_a_file_that_is_called_like_a_module_of_python_hides_nothing(write: Write) -> None:
    before = sys.modules["inspect"]

    plugin = load_plugins(Config(), [str(write("inspect", QUIET))])["inspect"]

    assert plugin is not before
    assert sys.modules["inspect"] is before is inspect


def test_a_file_may_be_given_as_a_path(write: Write) -> None:
    plugin = load_plugins(config(tea={"cups": 5}), [write("tea", TEA)])["tea"]

    assert vars(plugin)["options"].cups == 5


def test_a_class_is_made_with_the_options_of_the_table_of_its_name() -> None:
    plugin = load_plugins(config(tea_pot={"cups": 5}), [TeaPot])["tea_pot"]

    assert isinstance(plugin, TeaPot)
    assert plugin.cups == 5


def test_a_class_that_is_turned_off_is_not_made() -> None:
    assert "tea_pot" not in load_plugins(config(tea_pot={"enabled": False}), [TeaPot])


def test_a_module_may_be_given_itself(write: Write) -> None:
    write("quiet", QUIET)
    write("cake", CAKE)
    quiet, cake = importlib.import_module("quiet"), importlib.import_module("cake")

    plugins = load_plugins(Config(), [quiet, cake])

    assert plugins["quiet"] is quiet
    assert type(plugins["cake"]) is cake.Cake


def test_plugins_may_be_given_by_names_of_ones_own(write: Write) -> None:
    write("cake", CAKE)
    extra = {"small": TeaPot, "pastry": "cake", "large": TeaPot, "silence": str(write("quiet", QUIET))}

    plugins = load_plugins(config(large={"cups": 12}), extra)

    assert list(plugins)[-4:] == list(extra)
    assert [vars(plugins[name])["cups"] for name in ("small", "large")] == [2, 12]
    assert type(plugins["pastry"]).__name__ == "Cake"
    assert isinstance(plugins["silence"], ModuleType)


def test_with_a_name_of_ones_own_the_table_of_the_old_name_is_of_no_plugin() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.tea_pot: no such plugin"):
        load_plugins(config(tea_pot={}), {"samovar": TeaPot})


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        pytest.param({"bye": TeaPot}, "bye", id="a built-in one"),
        pytest.param([TeaPot, type("TeaPot", (TeaPot,), {})], "tea_pot", id="another class of the name"),
    ],
)
def test_a_class_that_is_called_like_another_plugin_is_refused(
    extra: Mapping[str, type] | Sequence[type], name: str
) -> None:
    with pytest.raises(PluginError, match=f"there are two plugins named '{name}'"):
        load_plugins(Config(), extra)


def test_a_plugin_has_the_options_of_its_table(write: Write) -> None:
    path = write("tea", TEA)

    plugin = load_plugins(config(tea={"enabled": True, "cups": 5}), [str(path)])["tea"]

    assert vars(plugin)["options"].cups == 5
    assert vars(plugin)["options"].text == "tea is ready"


def test_a_plugin_has_its_defaults_without_a_table(write: Write) -> None:
    plugin = load_plugins(Config(), [str(write("tea", TEA))])["tea"]

    assert vars(plugin)["options"].cups == 2


def test_a_strangers_plugin_is_not_even_imported_unless_it_is_named(write: Write, install: Install) -> None:
    write("strange_cake", "raise SystemError('imported')")
    install("cake", "strange_cake:Cake")

    assert "cake" not in load_plugins(Config())
    assert "strange_cake" not in sys.modules


def test_a_strangers_plugin_runs_when_the_configuration_has_a_table_for_it(write: Write, install: Install) -> None:
    write("strange_tea", TEA)
    install("tea", "strange_tea:Tea")

    plugin = load_plugins(config(tea={"cups": 7}))["tea"]

    assert type(plugin).__module__ == "strange_tea"
    assert vars(plugin)["options"].cups == 7


def test_an_empty_table_names_a_strangers_plugin_too(write: Write, install: Install) -> None:
    write("strange_quiet", QUIET)
    install("quiet", "strange_quiet")

    assert load_plugins(config(quiet={}))["quiet"] is sys.modules["strange_quiet"]


def test_a_strangers_entry_point_may_be_a_module_with_a_class(write: Write, install: Install) -> None:
    write("strange_tea", TEA)
    install("tea", "strange_tea")

    assert vars(load_plugins(config(tea={"cups": 7}))["tea"])["options"].cups == 7


def test_a_strangers_entry_point_with_two_plugins_is_refused_naming_both(write: Write, install: Install) -> None:
    path = write("strange_mix", CAKE + TEA)
    install("mix", "strange_mix")

    with pytest.raises(PluginError) as refusal:
        load_plugins(config(mix={}))

    assert str(refusal.value) == f"{path}: Cake and Tea have hooks; a module can hold only one plugin"


def test_a_strangers_plugin_can_be_named_and_turned_off(write: Write, install: Install) -> None:
    write("strange_tea", TEA)
    install("tea", "strange_tea:Tea")

    assert "tea" not in load_plugins(config(tea={"enabled": False}))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("blacklst", " (did you mean 'blacklist'?)"),
        ("chatlog", " (did you mean 'chat_log'?)"),
        ("strange_cakes", " (did you mean 'strange_cake'?)"),
        ("teapot_of_mine", " (did you mean 'teapot_of_yours'?)"),
        (
            "xyz",
            "; to load a plugin of your own, name its file or module with --plugin, or put the file into plugins_dir",
        ),
    ],
)
def test_a_table_of_no_plugin_is_a_fault(write: Write, install: Install, name: str, hint: str) -> None:
    install("strange_cake", "not_imported:Cake")
    path = write("teapot_of_yours", CAKE)

    assert faults_of(config(**{name: {}}), str(path)) == [f"chat.toml: plugins.{name}: no such plugin{hint}"]


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        pytest.param({"bye": {"text": "x"}}, "bye.text: unknown key", id="a plugin without options"),
        pytest.param(
            {"chat_log": {"pat": "x"}}, "chat_log.pat: unknown key (did you mean 'path'?)", id="a key misspelt"
        ),
        pytest.param({"quiet": {"text": "x"}}, "quiet.text: unknown key", id="a module"),
        pytest.param(
            {"quiet": {"on_eror": "skip"}},
            "quiet.on_eror: unknown key (did you mean 'on_error'?)",
            id="a key that every table has",
        ),
        pytest.param({"tea": {"cups": "x"}}, "tea.cups: Expected `int`, got `str` (here: 'x')", id="a wrong value"),
        pytest.param(
            {"bye": {"enabled": "no"}}, "bye.enabled: Expected `bool`, got `str` (here: 'no')", id="not quite disabled"
        ),
        pytest.param(
            {"bye": {"enabled": 0}}, "bye.enabled: Expected `bool`, got `int` (here: 0)", id="nearly disabled"
        ),
        pytest.param(
            {"tea": {"enabled": False, "cup": 1}},
            "tea.cup: unknown key (did you mean 'cups'?)",
            id="a disabled plugin",
        ),
    ],
)
def test_a_fault_of_a_table_is_named_with_its_place(
    write: Write, tables: Mapping[str, Mapping[str, object]], fault: str
) -> None:
    extra = [str(write("tea", TEA)), str(write("quiet", QUIET))]

    assert faults_of(config(**tables), *extra) == [f"chat.toml: plugins.{fault}"]


def test_a_plugin_with_a_faulty_table_is_left_out(write: Write) -> None:
    faults: list[str] = []

    choices = choose_plugins(config(tea={"cups": "x"}), [str(write("tea", TEA))], faults)

    assert "tea" not in [choice.name for choice in choices]
    assert len(faults) == 1


def test_all_faults_of_all_tables_are_named_at_once(write: Write) -> None:
    extra = [str(write("picky", PICKY)), str(write("tea", TEA))]
    tables = config(blacklst={}, tea={"cups": "x", "cup": 1}, picky={"file": "here"}, bye={"enabled": "no"})

    assert faults_of(tables, *extra) == [
        "chat.toml: plugins.blacklst: no such plugin (did you mean 'blacklist'?)",
        "chat.toml: plugins.bye.enabled: Expected `bool`, got `str` (here: 'no')",
        "chat.toml: plugins.tea.cups: Expected `int`, got `str` (here: 'x')",
        "chat.toml: plugins.tea.cup: unknown key (did you mean 'cups'?)",
        "chat.toml: plugins.picky: here: cannot be read",
        "chat.toml: plugins.picky: here: is not nice",
    ]


def test_what_a_plugin_finds_wrong_with_its_options_is_a_fault_and_the_others_are_made(write: Write) -> None:
    faults: list[str] = []
    choices = choose_plugins(config(), [str(write("picky", PICKY))], faults)

    plugins = build_plugins(choices, faults)

    assert faults == [
        "chat.toml: plugins.picky: none: cannot be read",
        "chat.toml: plugins.picky: none: is not nice",
    ]
    assert "picky" not in plugins
    assert set(BUILT_IN) <= set(plugins)


@pytest.mark.parametrize(
    ("source", "cause", "said"),
    [
        pytest.param("import no_such_module", "ModuleNotFoundError", "ModuleNotFoundError(", id="a missing module"),
        pytest.param("def on_connect(:", "SyntaxError", "clumsy.py:1: invalid syntax", id="no Python"),
        pytest.param("1 / 0", "ZeroDivisionError", "ZeroDivisionError(", id="a mistake"),
        pytest.param("from trichat import NoSuchThing", "ImportError", "ImportError(", id="a wrong name"),
    ],
)
@pytest.mark.parametrize("as_file", [True, False], ids=["a file", "a module"])
def test_a_plugin_that_cannot_be_imported_is_named_with_the_reason(
    write: Write, source: str, cause: str, said: str, as_file: bool
) -> None:
    path = write("clumsy", source)
    where = str(path) if as_file else "clumsy"

    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), [where])

    assert re.match(rf"plugin {re.escape(repr(where))} cannot be imported: \S*{re.escape(said)}", str(refusal.value))
    assert type(refusal.value.__cause__).__name__ == cause


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        pytest.param("/nowhere/tea.py", ": there is no such file", id="a file"),
        pytest.param("/.py", ": there is no such file", id="a file without a name"),
        pytest.param(
            "no_such_module",
            " cannot be imported: ModuleNotFoundError(\"No module named 'no_such_module'\")",
            id="a module",
        ),
        pytest.param("", " cannot be imported: ValueError('Empty module name')", id="nothing"),
    ],
)
def test_a_plugin_that_is_not_there_is_named(where: str, reason: str) -> None:
    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), [where])

    assert str(refusal.value) == f"plugin {where!r}{reason}"


def test_a_folder_is_no_plugin_file(tmp_path: Path) -> None:
    (tmp_path / "tea.py").mkdir()

    with pytest.raises(PluginError, match="there is no such file"):
        load_plugins(Config(), [str(tmp_path / "tea.py")])


@pytest.mark.parametrize(
    ("value", "error"),
    [("strange_tea:Coffee", "AttributeError"), ("no_such_module:Tea", "ModuleNotFoundError")],
)
def test_a_strangers_plugin_that_cannot_be_imported_is_named(
    write: Write, install: Install, value: str, error: str
) -> None:
    write("strange_tea", TEA)
    install("tea", value)

    with pytest.raises(PluginError) as refusal:
        load_plugins(config(tea={}))

    assert str(refusal.value).startswith(f"plugin 'tea' ({value}) cannot be imported: {error}(")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        pytest.param(BROKEN, "LookupError('no such thing') at {file}:6", id="it raises"),
        pytest.param(
            CAKE + "\n    def __init__(self, flour):\n        ...\n",
            "TypeError(\"Cake.__init__() missing 1 required positional argument: 'flour'\")",
            id="it wants what nobody has",
        ),
    ],
)
def test_a_plugin_that_cannot_be_made_is_named_with_the_reason(write: Write, source: str, error: str) -> None:
    file = write("broken", source)
    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), [str(file)])

    assert str(refusal.value) == f"plugin 'broken' cannot be built: {error.format(file=file)}"
    assert type(refusal.value.__cause__).__name__ == error.partition("(")[0]


def test_a_constructor_whose_types_are_not_there_is_named(write: Write) -> None:
    source = CAKE + '\n    def __init__(self, options: "Recipe"):\n        ...\n'

    with pytest.raises(PluginError) as refusal:
        load_plugins(Config(), [str(write("cake", source))])

    assert str(refusal.value) == (
        "plugin 'Cake': cannot resolve the types of its constructor: name 'Recipe' is not defined"
    )
