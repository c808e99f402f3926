"""Which plugins there are."""

import errno
import importlib.metadata
import inspect
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from built_in_kit import BUILT_IN

from trichat import Options, PluginError
from trichat._plugins import discovery
from trichat._plugins.discovery import find_plugins, is_factory, name_of

PLUGIN = "from trichat import hookimpl\n@hookimpl\ndef on_reload(): ...\n"


class PotOptions(Options, frozen=True):
    cups: int = 2


class TeaPot:
    def __init__(self, options: PotOptions) -> None:
        self.cups = options.cups


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Another package is installed, whose plugin cannot be imported; each lookup is noted."""
    found: list[str] = []

    def entry_points(*, group: str) -> Iterable[EntryPoint]:
        found.append(group)
        return [EntryPoint("anise", "not_there:Anise", group), *importlib.metadata.entry_points(group=group)]

    monkeypatch.setattr(discovery, "entry_points", entry_points)
    discovery._points.cache_clear()
    yield found
    discovery._points.cache_clear()


def test_installed_plugins_are_found_by_name_and_not_imported(lookups: list[str]) -> None:
    found = {plugin.name: plugin for plugin in find_plugins()}
    assert list(found) == ["anise", *BUILT_IN]
    assert not found["anise"].is_asked_for
    assert found["bye"].is_asked_for
    assert (found["bye"].origin, found["bye"].version) == ("trichat", importlib.metadata.version("trichat"))
    with pytest.raises(PluginError, match=r"plugin 'anise' .* cannot be imported"):
        found["anise"].load()


def test_what_is_installed_is_looked_up_once(lookups: list[str]) -> None:
    for _ in range(3):
        find_plugins()
    assert lookups == ["trichat"]


def test_each_file_of_a_folder_is_a_plugin_but_for_those_with_an_underscore(tmp_path: Path) -> None:
    for name in ("zebra.py", "ant.py", "_shared.py", "notes.txt"):
        (tmp_path / name).write_text("this is no Python")
    found = [plugin for plugin in find_plugins(str(tmp_path)) if plugin.origin != "trichat"]
    assert [(plugin.name, plugin.origin) for plugin in found] == [
        ("ant", str(tmp_path / "ant.py")),
        ("zebra", str(tmp_path / "zebra.py")),
    ]
    assert all(plugin.is_asked_for for plugin in found)


def test_an_empty_folder_has_no_plugins(tmp_path: Path) -> None:
    assert [plugin.name for plugin in find_plugins(str(tmp_path))] == [plugin.name for plugin in find_plugins()]


@pytest.mark.parametrize("exists", [False, True], ids=["there is nothing", "it is a file"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "plugins"
    if exists:
        path.write_text("")
    with pytest.raises(PluginError) as refusal:
        find_plugins(str(path))
    assert str(refusal.value) == f"cannot find plugins: there is no folder {str(path)!r}"


def test_a_folder_that_may_not_be_read_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: object = None) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    for each in ("listdir", "scandir"):  # root may read everything
        monkeypatch.setattr(os, each, refuse)
    with pytest.raises(PluginError) as refusal:
        find_plugins(str(tmp_path))
    assert str(refusal.value) == f"cannot find plugins in the folder {str(tmp_path)!r}: Permission denied"


def test_installed_plugins_come_first_then_those_of_the_folder_then_the_others(tmp_path: Path) -> None:
    for name in ("a_folder/in_folder.py", "alone.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(PLUGIN)
    found = find_plugins(str(tmp_path / "a_folder"), [tmp_path / "alone.py", "some.module", TeaPot])
    assert [plugin.name for plugin in found][-5:] == ["topic", "in_folder", "alone", "module", "tea_pot"]


def test_two_of_one_name_are_refused_with_the_places_of_both(tmp_path: Path) -> None:
    (tmp_path / "bye.py").write_text(PLUGIN)
    with pytest.raises(PluginError) as refusal:
        find_plugins(str(tmp_path))
    assert str(refusal.value) == (
        f"there are two plugins named 'bye' (trichat and {tmp_path / 'bye.py'}); rename the one that you add"
    )


def test_an_installed_plugin_is_asked_for_by_its_name(lookups: list[str]) -> None:
    def asked_for(*extra: str) -> bool:
        (anise,) = [found for found in find_plugins(extra=extra) if found.name == "anise"]
        assert anise.origin != "anise"
        return anise.is_asked_for

    assert [asked_for(), asked_for("anise"), asked_for("anise", "anise")] == [False, True, True]


@pytest.mark.parametrize(
    ("plugin", "name"),
    [
        pytest.param("dice.py", "dice", id="a file"),
        pytest.param("/games/dice.py", "dice", id="a file in a folder"),
        pytest.param(Path("games/dice.py"), "dice", id="a path"),
        pytest.param("dice", "dice", id="a module's name"),
        pytest.param("games.dice", "dice", id="a module's name with dots"),
        pytest.param(importlib.metadata, "metadata", id="a module"),
        pytest.param(TeaPot, "tea_pot", id="a class"),
        pytest.param(TeaPot(PotOptions()), "tea_pot", id="an instance"),
    ],
)
def test_a_plugin_without_a_name_is_called_after_its_file_its_module_or_its_class(plugin: object, name: str) -> None:
    assert name_of(plugin) == name


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        ("Cake", "cake"),
        ("EchoBot", "echo_bot"),
        ("IRCBridge", "irc_bridge"),
        ("HTTP", "http"),
        ("Bot2", "bot2"),
        ("HTML5Parser", "html5_parser"),
        ("_Recorder", "_recorder"),
        ("Echo_Bot", "echo_bot"),
        ("Ärger", "ärger"),
    ],
)
def test_the_words_of_a_class_name_are_written_as_a_table_is(cls: str, name: str) -> None:
    assert name_of(type(cls, (), {})) == name


@pytest.mark.parametrize(
    "plugin",
    ["dice.py", Path("dice.py"), "games.dice", TeaPot, inspect],
    ids=["file", "path", "name", "class", "module"],
)
def test_what_a_plugin_is_made_of_is_a_class_or_a_module_or_names_one(plugin: object) -> None:
    assert is_factory(plugin)


@pytest.mark.parametrize("plugin", [TeaPot(PotOptions()), None, 7], ids=["instance", "nothing", "number"])
def test_anything_else_is_a_plugin_or_none_but_not_what_it_is_made_of(plugin: object) -> None:
    assert not is_factory(plugin)


@pytest.mark.parametrize("extra", ["pot.py", Path("pot.py"), TeaPot, inspect])
def test_a_single_plugin_instead_of_a_list_is_refused(extra: object) -> None:
    with pytest.raises(TypeError, match="is a single plugin; give a list"):
        find_plugins("", extra)  # type: ignore[arg-type]
