"""Which plugins there are, and building those that the configuration asks for.

A plugin is a module, or a class that is called once per server: with its options, when its constructor takes a subclass
of `Options`, or with nothing. Installed plugins announce themselves by the entry points `trichat`, its own like any
other. Its own run unless they are turned off; those of other packages run when the configuration has a table for them.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeGuard, get_type_hints

from trichat._config import Config, Options, suggestion, to_options
from trichat._errors import ConfigError, PluginError

GROUP = "trichat"

Factory = ModuleType | type

Extra = Iterable[str | Path | Factory] | Mapping[str, str | Path | Factory]

# Where a word of a class name ends: EchoBot, IRCBridge.
_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Choice(NamedTuple):
    """A plugin that was found, and what the configuration says of it."""

    name: str
    factory: Factory
    options: Options | None
    enabled: bool
    place: str = ""
    """What to call its table in a fault."""


def load_plugins(config: Config, extra: Extra = ()) -> dict[str, object]:
    """Build the plugins that `config` asks for, and those of `extra`.

    Each of these is a `.py` file or a module, by name, or it is a class or a module itself; with names of your own, or
    without. Returns them by name, in the order of their registration. Raises `ConfigError` with all faults of all
    tables, and `PluginError` if one cannot be imported or made.
    """
    faults: list[str] = []
    plugins = build_plugins(choose_plugins(config, extra, faults), faults)
    if faults:
        raise ConfigError(faults)
    return plugins


def choose_plugins(config: Config, extra: Extra, faults: list[str]) -> list[Choice]:
    """Find the plugins and read their tables. Each fault is added to `faults`, and its plugin is left out."""
    factories: dict[str, Factory] = {}
    for name, factory in (*sorted(_installed(config), key=itemgetter(0)), *_named(extra)):
        if name in factories:
            raise PluginError(f"there are two plugins of the name {name!r}; rename the one that you add")
        factories[name] = factory
    known = sorted(installed_names() | factories.keys())
    strangers = [name for name in config.plugins if name not in known]
    hint = "; a file or a module of your own is named with --plugin"
    faults += [
        f"{config.source}: plugins.{name}: no such plugin{suggestion(name, known) or hint}" for name in strangers
    ]
    choices = [_choose(name, factory, config, faults) for name, factory in factories.items()]
    return [choice for choice in choices if choice is not None]


def build_plugins(choices: Sequence[Choice], faults: list[str]) -> dict[str, object]:
    """Make the plugins that are enabled, by name. What a plugin finds wrong with its options is added to `faults`."""
    plugins: dict[str, object] = {}
    for choice in choices:
        if choice.enabled:
            try:
                plugins[choice.name] = _build(choice)
            except ConfigError as error:
                faults.extend(f"{choice.place}: {fault}" for fault in error.faults)
    return plugins


def _choose(name: str, factory: Factory, config: Config, faults: list[str]) -> Choice | None:
    place = f"{config.source}: plugins.{name}"
    before = len(faults)
    table = dict(config.plugins.get(name, {}))
    enabled = table.pop("enabled", True)
    if not isinstance(enabled, bool):
        faults.append(f"{place}.enabled: Expected `bool` (here: {enabled!r})")
    # For a plugin without options the empty class says that there are no keys.
    cls = _options_class(factory)
    try:
        options = to_options(cls or Options, table, place, faults)
    except (NotImplementedError, TypeError) as error:
        raise PluginError(f"plugin {name!r}: {error}") from None
    if len(faults) > before:
        return None
    return Choice(name, factory, options if cls else None, bool(enabled), place)


def _options_class(factory: Factory) -> type[Options] | None:
    if isinstance(factory, ModuleType):
        return None
    try:
        annotations = get_type_hints(factory.__init__)  # type: ignore[misc]
    except (NameError, AttributeError) as error:
        raise PluginError(
            f"plugin {factory.__qualname__!r}: the types of its constructor are not there: {error}"
        ) from None
    for annotation in annotations.values():
        if inspect.isclass(annotation) and issubclass(annotation, Options):
            return annotation
    return None


def _build(choice: Choice) -> object:
    if isinstance(choice.factory, ModuleType):
        return choice.factory
    try:
        return choice.factory() if choice.options is None else choice.factory(choice.options)
    except ConfigError:
        raise
    except Exception as error:
        raise PluginError(f"plugin {choice.name!r} cannot be made: {error!r}") from error


@cache
def _points() -> Sequence[tuple[EntryPoint, bool]]:
    """What is installed, each with whether it is one of our own. Looking it up reads a file of every package."""
    found = entry_points(group=GROUP)
    return [(point, point.dist is not None and point.dist.name == "trichat") for point in found]


def installed_names() -> set[str]:
    """The names of all plugins that are installed, whether they are wanted or not."""
    return {point.name for point, _ in _points()}


def _installed(config: Config) -> Iterator[tuple[str, Factory]]:
    for point, own in _points():
        if not own and not _is_wanted(point.name, config):
            continue
        try:
            found = point.load()
        except (Exception, SystemExit) as error:
            raise PluginError(f"plugin {point.name!r} ({point.value}) cannot be imported: {error!r}") from error
        if not isinstance(found, (ModuleType, type)):
            raise PluginError(f"plugin {point.name!r} ({point.value}) is {found!r}; expected a class or a module")
        yield point.name, _factory_in(found) if isinstance(found, ModuleType) else found


def _is_wanted(name: str, config: Config) -> bool:
    """Whether to look at a plugin of another package at all: if a table names it and leaves it on."""
    return config.plugins.get(name, {"enabled": False}).get("enabled") is not False


def name_of(plugin: object) -> str:
    """Return what to call a plugin that nobody has named: after its file, its module or its class."""
    if isinstance(plugin, (str, Path)):
        return Path(plugin).stem if str(plugin).endswith(".py") else str(plugin).rpartition(".")[2]
    if isinstance(plugin, ModuleType):
        return plugin.__name__.rpartition(".")[2]
    name = (plugin if isinstance(plugin, type) else type(plugin)).__name__
    return _WORD_END.sub("_", name).lower()


def is_factory(plugin: object) -> TypeGuard[str | Path | Factory]:
    """Whether `load_plugins` would make a plugin of it; anything else is one."""
    return isinstance(plugin, (str, Path, ModuleType, type))


def _named(extra: Extra) -> Iterator[tuple[str, Factory]]:
    named = extra.items() if isinstance(extra, Mapping) else [(name_of(where), where) for where in extra]
    for name, where in named:
        found = _import(str(where)) if isinstance(where, (str, Path)) else where
        yield name, _factory_in(found) if isinstance(found, ModuleType) else found


def _import(where: str) -> ModuleType:
    if where.endswith(".py") and not Path(where).is_file():
        raise PluginError(f"plugin {where!r}: there is no such file")
    try:
        return _import_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {where!r} cannot be imported: {error!r}") from error


def _import_file(path: Path) -> ModuleType:
    # A name that no import statement asks for: a plugin may well be called like a module of the standard library.
    name = f"trichat_plugin_file.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _factory_in(module: ModuleType) -> Factory:
    """Return the one thing in the module that has hooks: a class of its own, or the module itself."""
    candidates: tuple[Factory, ...] = (module, *_own_classes(module))
    found = [candidate for candidate in candidates if _has_hooks(candidate)]
    if len(found) > 1:
        names = " and ".join(each.__name__ for each in found)
        raise PluginError(f"{module.__file__}: {names} have hooks; a module holds one plugin")
    return found[0] if found else module


def _own_classes(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield value


def _has_hooks(factory: Factory) -> bool:
    return any(hasattr(inspect.getattr_static(factory, name), "trichat_impl") for name in dir(factory))
