"""Finds the plugins of a running server that have a new version: changed files, or a changed configuration table."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from trichat._base.errors import ConfigError, PluginError, TrichatError
from trichat._base.failures import with_place
from trichat._config.options import Config
from trichat._config.plugin_policy import Policy
from trichat._plugins.discovery import Extra, Found, find_plugins, modules_of
from trichat._plugins.loader import build_plugins, choose, is_wanted, unknown_tables


class Version(NamedTuple):
    """The files and the table of a plugin."""

    files: Mapping[str, tuple[int, int] | None]
    """For each file the time of its last change, in nanoseconds, and its size; `None` if it does not exist."""
    table: Mapping[str, object]
    """Its table in the configuration."""


class Changed(NamedTuple):
    """A plugin that has a newer version than the one that runs."""

    found: Found
    config: Config
    version: Version

    def build(self) -> tuple[object, Policy]:
        """Import and build the plugin, which may block: call it in a thread. Raises `ConfigError` or `PluginError`."""
        faults: list[str] = []
        try:
            choice = choose(self.found, self.config, faults)
            plugins = build_plugins([] if choice is None else [choice], faults)
        except (KeyboardInterrupt, GeneratorExit, BaseExceptionGroup) as error:
            # Ctrl-C never raises KeyboardInterrupt in this thread. The plugin raised it, and must not end the server.
            raise PluginError(f"plugin {self.found.name!r} cannot be built: {with_place(error)}") from error
        if faults or choice is None:
            raise ConfigError(faults)
        return plugins[choice.name], choice.policy


class Look(NamedTuple):
    """What a reload has to do."""

    changed: list[Changed]
    remarks: list[str]
    """The changes that need a restart."""
    faults: list[str]
    """The faults of the configuration. If there are any, the reload replaces nothing."""


class Versions:
    """The versions of the running plugins.

    `read` reads the configuration again, and adds each fault to the list that it is given. `config` is the
    configuration at the start, `extra` has the plugins named on the command line, and `running` has the names of the
    running plugins.
    """

    def __init__(
        self, read: Callable[[list[str]], Config], config: Config, extra: Extra, running: Collection[str]
    ) -> None:
        self._read = read
        self._config = config
        self._extra = extra
        self._versions = {each.name: _version(each, config) for each in self._find(config) if each.name in running}

    def look(self) -> Look:
        """Look at the configuration and the files. Call it in a thread, since it blocks."""
        faults: list[str] = []
        try:
            config = self._read(faults)
            found = self._find(config)
        except TrichatError as error:
            return Look([], [], [*faults, str(error)])
        faults += unknown_tables(found, config)
        if faults:
            return Look([], [], faults)
        running = [each for each in found if each.name in self._versions and _is_on(each, config)]
        versions = {each.name: _version(each, config) for each in running}
        changed = [Changed(each, config, versions[each.name]) for each in running]
        return Look(
            [each for each in changed if each.version != self._versions[each.found.name]],
            [*self._remarks(found, config)],
            [],
        )

    def note(self, changed: Changed) -> None:
        """Note that this version is running now."""
        self._versions[changed.found.name] = changed.version

    def _find(self, config: Config) -> list[Found]:
        return find_plugins(config.server.plugins_dir, self._extra)

    def _remarks(self, found: list[Found], config: Config) -> Iterator[str]:
        now = {each.name for each in found if _is_on(each, config)}
        for name in sorted(now - self._versions.keys()):
            yield f"plugin {name!r} is new: restart the server to run it"
        for name in sorted(self._versions.keys() - now):
            yield f"plugin {name!r} is turned off: it keeps running until the server restarts"
        before, after = (msgspec.structs.asdict(each.server) for each in (self._config, config))
        keys = [key for key in before if before[key] != after[key]]
        if keys:
            yield f"server.{', server.'.join(keys)}: restart the server to apply the change"


def _is_on(found: Found, config: Config) -> bool:
    return is_wanted(found, config) and config.plugins.get(found.name, {}).get("enabled") is not False


def _version(found: Found, config: Config) -> Version:
    modules = modules_of(found.module) if found.module else {}
    files = [file for each in modules.values() if (file := getattr(each, "__file__", None)) is not None]
    return Version({file: _state(Path(file)) for file in files}, config.plugins.get(found.name, {}))


def _state(file: Path) -> tuple[int, int] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size
