"""Which plugins have changed since they were loaded, and which of that takes a restart."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trichat import PluginError
from trichat._base.errors import ConfigError
from trichat._config.options import Config, read_config
from trichat._ops.plugin_versions import Versions
from trichat._plugins.discovery import imported_anew
from trichat._plugins.loader import load_plugins

SHOUT = """\
from typing import Annotated
from trichat import Options, hookimpl
class ShoutOptions(Options, frozen=True):
    mark: Annotated[str, "What to add."] = "!"
class Shout:
    version = 1
    def __init__(self, options: ShoutOptions) -> None:
        self.mark = options.mark
    @hookimpl
    def on_message(self, message):
        return message.with_text(message.text + self.mark)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "shout.py").write_text(SHOUT)
    configure("")
    return tmp_path


@pytest.fixture(autouse=True)
def modules_as_before() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def configure(text: str, server: str = "") -> None:
    Path("trichat.toml").write_text(f'[server]\nplugins_dir = "plugins"\n{server}\n{text}')


def read(faults: list[str]) -> Config:
    return read_config(Path("trichat.toml"), faults)


def running() -> tuple[Versions, dict[str, object]]:
    """A server's plugins, and what knows their versions."""
    config = read([])
    plugins = load_plugins(config)
    return Versions(read, config, (), plugins), plugins


def changed_names(versions: Versions) -> list[str]:
    look = versions.look()
    assert (look.remarks, look.faults) == ([], [])
    return [changed.found.name for changed in look.changed]


def test_nothing_has_changed_at_first(folder: Path) -> None:
    versions, plugins = running()
    assert "shout" in plugins
    assert changed_names(versions) == []


def test_a_file_that_was_written_again_is_another_version(folder: Path) -> None:
    versions, _ = running()
    # It has the same length, and may be of the same second.
    file = folder / "plugins" / "shout.py"
    loaded = file.stat().st_mtime_ns
    file.write_text(SHOUT.replace("version = 1", "version = 2"))
    os.utime(file, ns=(loaded + 1, loaded + 1))
    (changed,) = versions.look().changed
    with imported_anew(changed.found.module):
        plugin, _ = changed.build()
    assert plugin.version == 2  # type: ignore[attr-defined]
    versions.note(changed)
    assert changed_names(versions) == []


def test_so_is_another_table_in_the_configuration(folder: Path) -> None:
    versions, _ = running()
    configure('[plugins.shout]\nmark = "?"\nshadow = true\n')
    (changed,) = versions.look().changed
    plugin, policy = changed.build()
    assert plugin.mark == "?"  # type: ignore[attr-defined]
    assert policy.shadow


def test_a_built_in_has_other_options_but_no_other_code(folder: Path) -> None:
    versions, _ = running()
    configure("[plugins.chat_log]\nreplay = 7\n")
    (changed,) = versions.look().changed
    assert (changed.found.name, changed.found.module) == ("chat_log", "")
    assert dict(changed.version.files) == {}


def test_a_package_has_changed_when_any_of_its_modules_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "greeter"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from trichat import hookimpl\nfrom greeter.text import TEXT\n"
        "@hookimpl\ndef on_join(client):\n    client.send(TEXT)\n"
    )
    (package / "text.py").write_text("TEXT = 'hello'\n")
    monkeypatch.syspath_prepend(folder)
    config = read([])
    plugins = load_plugins(config, ["greeter"])
    versions = Versions(read, config, ["greeter"], plugins)
    assert changed_names(versions) == []
    (package / "text.py").write_text("TEXT = 'howdy'\n")
    (changed,) = versions.look().changed
    with imported_anew(changed.found.module):
        module, _ = changed.build()
    assert module.TEXT == "howdy"  # type: ignore[attr-defined]
    assert plugins["greeter"].TEXT == "hello"  # type: ignore[attr-defined]


def test_one_whose_file_is_gone_has_changed_and_cannot_be_imported(folder: Path) -> None:
    config = read([])
    file = str(folder / "alone.py")
    Path(file).write_text("from trichat import hookimpl\n@hookimpl\ndef on_reload(): ...\n")
    versions = Versions(read, config, [file], load_plugins(config, [file]))
    os.unlink(file)
    (changed,) = versions.look().changed
    with pytest.raises(PluginError, match="there is no such file"):
        changed.build()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mark = 1", "trichat.toml: plugins.shout.mark: Expected `str`, got `int` (here: 1)"),
        ("mrak = '?'", "trichat.toml: plugins.shout.mrak: unknown key (did you mean 'mark'?)"),
        ("shadow = 'yes'", "trichat.toml: plugins.shout.shadow: Expected `bool`, got `str` (here: 'yes')"),
    ],
)
def test_what_is_wrong_with_its_table_is_said_when_it_is_built(folder: Path, text: str, said: str) -> None:
    versions, _ = running()
    configure(f"[plugins.shout]\n{text}\n")
    (changed,) = versions.look().changed
    with pytest.raises(ConfigError) as refused:
        changed.build()
    assert refused.value.faults == (said,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plugins.shuot]\n", "trichat.toml: plugins.shuot: no such plugin (did you mean 'shout'?)"),
        ("nonsense\n", "trichat.toml: is not TOML "),
    ],
)
def test_with_a_faulty_configuration_nothing_is_to_be_done(folder: Path, text: str, said: str) -> None:
    versions, _ = running()
    (folder / "plugins" / "shout.py").write_text(SHOUT + "# another one\n")
    configure(text)
    look = versions.look()
    assert (look.changed, look.remarks) == ([], [])
    (fault,) = look.faults
    assert fault.startswith(said)


def test_a_folder_that_is_gone_is_a_fault(folder: Path) -> None:
    versions, _ = running()
    (folder / "plugins").rename(folder / "elsewhere")
    assert versions.look().faults == ["cannot find plugins: there is no folder 'plugins'"]


def test_what_takes_a_restart_is_said(folder: Path) -> None:
    versions, _ = running()
    (folder / "plugins" / "new.py").write_text("from trichat import hookimpl\n@hookimpl\ndef on_reload(): ...\n")
    configure("[plugins.seen]\nenabled = false\n", server="port = 2048\nmax_clients = 5")
    look = versions.look()
    assert look.remarks == [
        "plugin 'new' is new: restart the server to run it",
        "plugin 'seen' is turned off: it keeps running until the server restarts",
        "server.port, server.max_clients: restart the server to apply the change",
    ]
    assert look.changed == []


# Importing anew.


def test_what_cannot_be_imported_leaves_what_was_there(folder: Path) -> None:
    versions, plugins = running()
    module = "trichat_plugin_file.shout"
    before = sys.modules[module]
    (folder / "plugins" / "shout.py").write_text("from trichat import Message\n1 / 0\n")
    (changed,) = versions.look().changed
    with pytest.raises(PluginError, match="ZeroDivisionError"), imported_anew(module):
        changed.build()
    assert sys.modules[module] is before
    assert type(plugins["shout"]).__module__ == module
