"""Which file the chat log is."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from trichat import Config, PluginError, load_plugins
from trichat._plugins.log_path import log_path_of

FIRST, SECOND = SimpleNamespace(log_path=Path("first.txt")), SimpleNamespace(log_path=Path("second.txt"))
QUIET, STRANGE = SimpleNamespace(), SimpleNamespace(log_path="a string is for the plugin alone")


@pytest.mark.parametrize(
    ("plugins", "path"),
    [
        ([], None),
        ([QUIET, STRANGE], None),
        ([QUIET, FIRST], Path("first.txt")),
        ([STRANGE, SECOND, FIRST], Path("second.txt")),
    ],
    ids=["no plugins", "no log", "a log", "two logs"],
)
def test_the_log_is_what_the_first_plugin_with_a_path_keeps(plugins: list[object], path: Path | None) -> None:
    assert log_path_of(plugins) == path


def test_one_of_the_plugins_that_come_with_trichat_keeps_a_log() -> None:
    assert log_path_of(load_plugins(Config()).values()) == Path("chat_log.txt")


def test_a_path_that_cannot_be_had_is_one_sentence_with_its_line() -> None:
    class Lost:
        @property
        def log_path(self) -> Path:
            raise KeyError("folder")

    with pytest.raises(
        PluginError, match=r"^log_path of Lost failed: KeyError\('folder'\) at .*test_log_path\.py:\d+$"
    ):
        log_path_of([Lost()])
