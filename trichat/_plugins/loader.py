"""Decides which of the plugins that were found run, and with which options, and builds them.

A plugin that comes with trichat runs unless it is turned off. So does one that somebody points at: a file, a module or
a file in a folder of plugins. A plugin of another package runs when the configuration has a table for it, or the
command line names it.
"""

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple, get_type_hints

from trichat._base.errors import ConfigError, PluginError
from trichat._base.failures import pass_on, with_place
from trichat._base.suggestion import suggestion
from trichat._config.options import Config, Options, checked, in_trial, to_options
from trichat._config.plugin_policy import KEYS, Policy, split_policy
from trichat._plugins.discovery import Extra, Factory, Found, find_plugins


class Choice(NamedTuple):
    """A plugin that was found, and what the configuration says about it."""

    name: str
    factory: Factory
    options: Options | None
    enabled: bool
    place: str = ""
    """What a fault calls its table."""
    policy: Policy = Policy()
    """What its table says besides its options."""


def load_plugins(config: Config, extra: Extra = ()) -> dict[str, object]:
    """Build the plugins that `config` asks for, and those of `extra`.

    Each of `extra` is a `.py` file or a module, by name, or a class or a module itself. A mapping gives them names.
    Returns the plugins by name, in the order of their registration. Raises `ConfigError` with all faults of all tables,
    and `PluginError` if a plugin cannot be found, imported or built.
    """
    config = checked(config)
    faults: list[str] = []
    plugins = build_plugins(choose_plugins(config, extra, faults), faults)
    if faults:
        raise ConfigError(faults)
    return plugins


def load_plugin(name: str, config: Config, extra: Extra = ()) -> object:
    """Build one of the plugins that `load_plugins` builds. Raises the same errors."""
    faults: list[str] = []
    plugins = build_plugins([each for each in choose_plugins(config, extra, faults) if each.name == name], faults)
    if faults:
        raise ConfigError(faults)
    if name not in plugins:
        raise PluginError(f"there is no plugin {name!r}")
    return plugins[name]


def choose_plugins(config: Config, extra: Extra, faults: list[str]) -> list[Choice]:
    """Find the plugins and read their tables. A plugin whose table has faults is left out; they are added to `faults`.

    Raises `PluginError` if a plugin cannot be found or imported.
    """
    found = find_plugins(config.server.plugins_dir, extra)
    faults += unknown_tables(found, config)
    choices = [choose(plugin, config, faults) for plugin in found if is_wanted(plugin, config)]
    return [choice for choice in choices if choice is not None]


def unknown_tables(found: Sequence[Found], config: Config) -> list[str]:
    """Return a fault for each table that belongs to no plugin."""
    known = sorted(plugin.name for plugin in found)
    hint = "; to load a plugin of your own, name its file or module with --plugin, or put the file into plugins_dir"
    strangers = [name for name in config.plugins if name not in known]
    return [f"{config.place('plugins', name)}: no such plugin{suggestion(name, known) or hint}" for name in strangers]


def is_wanted(plugin: Found, config: Config) -> bool:
    """Whether to import a plugin at all."""
    return plugin.is_asked_for or config.plugins.get(plugin.name, {"enabled": False}).get("enabled") is not False


def choose(plugin: Found, config: Config, faults: list[str]) -> Choice | None:
    """Import a plugin and read its table. If the table has faults, add them and return `None`. Raises `PluginError`."""
    name, factory = plugin.name, plugin.load()
    place = config.place("plugins", name)
    before = len(faults)
    policy, table = split_policy(config.plugins.get(name, {}), place, faults)
    # A plugin without options gets the empty class, which knows no keys.
    cls = _options_class(factory)
    try:
        _check_keys(cls or Options)
        if cls is not None and config.trial_folder is not None:
            table = in_trial(cls, table, config.trial_folder)
        options = to_options(cls or Options, table, place, faults, KEYS)
    except (NotImplementedError, TypeError) as error:
        raise PluginError(f"plugin {name!r}: {error}") from None
    if len(faults) > before or policy is None:
        return None
    return Choice(name, factory, options if cls else None, policy.enabled, str(place), policy)


def _check_keys(options: type[Options]) -> None:
    """Raise `TypeError` for an option that could never be set, because every plugin's table has its key."""
    for key in KEYS:
        if key in options.__struct_fields__:
            raise TypeError(f"it cannot have the option {key!r}, which the table of every plugin has")


def _options_class(factory: Factory) -> type[Options] | None:
    if isinstance(factory, ModuleType):
        return None
    try:
        annotations = get_type_hints(factory.__init__)  # type: ignore[misc]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise PluginError(
            f"plugin {factory.__qualname__!r}: cannot resolve the types of its constructor: {error}"
        ) from None
    for annotation in annotations.values():
        if inspect.isclass(annotation) and issubclass(annotation, Options):
            return annotation
    return None


def build_plugins(choices: Sequence[Choice], faults: list[str]) -> dict[str, object]:
    """Build the enabled plugins, by name. What a plugin finds wrong with its options is added to `faults`."""
    plugins: dict[str, object] = {}
    for choice in choices:
        if choice.enabled:
            try:
                plugins[choice.name] = _build(choice)
            except ConfigError as error:
                faults.extend(f"{choice.place}: {fault}" for fault in error.faults)
    return plugins


def _build(choice: Choice) -> object:
    if isinstance(choice.factory, ModuleType):
        return choice.factory
    try:
        return choice.factory() if choice.options is None else choice.factory(choice.options)
    except ConfigError:
        raise
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"plugin {choice.name!r} cannot be built: {with_place(error)}") from error
