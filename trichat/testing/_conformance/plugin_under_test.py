"""The plugin that a conformance run tries, and the lines that the run says to it."""

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from trichat._base.errors import ConfigError
from trichat._config.options import Config, Options, trial_table
from trichat._plugins.discovery import Factory, find_plugins, name_of
from trichat._plugins.loader import Choice, choose_plugins
from trichat.testing._chat.chat import Tables

# The number of words from a plugin's own source that are said as lines, because the plugin may wait for one of them.
OWN_WORDS = 12
LONGEST_WORD = 30

# Said last, because they end the dialogue.
_LAST_WORDS = ("bye", "stop", "/bye", "/stop", "/quit")

ORDINARY = (
    "good morning",
    "how are you?",
    "/help",
    "/no-such-command",
    "/ is no command",
    "ünïcödé ✓ 漢字",
    " space",
    "x" * 500,
)


class Subject:
    """The plugin to try. Raises `TrichatError` if it cannot be found."""

    def __init__(self, plugin: str, config: Config | None = None, say: Sequence[str] = (), only: str = "") -> None:
        """`plugin` is what `--plugin` takes, or the name of an installed plugin; `config` has its options.

        `say` has lines to say besides the usual ones and those that the plugin's source suggests. `only` names one case
        to play, in the checks that have cases.
        """
        self.only = only
        self.plugin = plugin
        name, extra = _find(plugin)
        self.name: str = name
        self.extra: dict[str, object] = extra
        table = dict((config or Config()).plugins.get(self.name, {}))
        if table.get("enabled") is False:
            raise ConfigError(
                [f"{config.source if config else ''}: the plugin {self.name!r} is turned off; remove `enabled = false`"]
            )
        self.config: Tables = {"server": {"backlog_bytes": 8192}, "plugins": {self.name: table}}
        choice = self._choose()
        for key in _files(type(choice.options)) if choice.options is not None else ():
            table.pop(key, None)  # a trial writes to files of its own
        factory = choice.factory
        self.file: str = inspect.getsourcefile(factory) or ""
        words = [*_own_words(Path(self.file)), *say]
        self.lines: list[str] = [*ORDINARY, *(word for word in words if word not in _LAST_WORDS)]
        self.last_words: list[str] = [word for word in words if word in _LAST_WORDS]

    def load(self) -> Factory:
        """Import the plugin; if it is a file, again each time. Raises `TrichatError`."""
        return self._choose().factory

    def _choose(self) -> Choice:
        faults: list[str] = []
        choices = choose_plugins(Config.from_tables(self.config), self.extra, faults)
        if faults:
            raise ConfigError(faults)
        return next(choice for choice in choices if choice.name == self.name)

    @property
    def module(self) -> ModuleType | None:
        """The module that the plugin is in, if it was imported."""
        found = (m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == self.file)
        return next(found, None)


def _find(plugin: str) -> tuple[str, dict[str, object]]:
    if plugin in {found.name for found in find_plugins()}:
        return plugin, {}
    if plugin.endswith(".py"):
        plugin = str(Path(plugin).absolute())
    return name_of(plugin), {name_of(plugin): plugin}


def _files(options: type[Options]) -> Iterator[str]:
    """Yield the keys of the options that name a file."""
    return (key for key, value in trial_table(options, Path()).items() if isinstance(value, Path))


def _own_words(file: Path) -> Iterator[str]:
    """Yield words that a plugin may compare lines with: the first short strings in its source."""
    with suppress(OSError, SyntaxError):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        usable = (word for word in found if word.strip() and word.isprintable() and len(word) <= LONGEST_WORD)
        yield from list(dict.fromkeys(usable))[:OWN_WORDS]
