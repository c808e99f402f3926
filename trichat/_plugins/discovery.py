"""Finds plugins: installed ones, those in a folder of plugins, and those named one by one.

Finding a plugin imports nothing. Loading it imports a module, or a class that is called once per server. A module with
one class that has hooks stands for that class.
"""

import importlib
import importlib.util
import inspect
import linecache
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeGuard

from trichat._base.errors import PluginError
from trichat._base.failures import pass_on, with_place
from trichat._plugins.commands import is_command

GROUP = "trichat"

Factory = ModuleType | type

Extra = Iterable[str | Path | Factory] | Mapping[str, str | Path | Factory]

# Where a word of a class name ends: EchoBot, IRCBridge.
_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Found(NamedTuple):
    """A plugin that was found."""

    name: str
    origin: str
    """Where it comes from: a package, a file or a module."""
    version: str
    """The version of its package; empty if it comes from none."""
    is_asked_for: bool
    """Whether it runs without a table in the configuration: it comes with trichat, or somebody pointed at it."""
    load: Callable[[], Factory]
    """Imports it. Raises `PluginError`."""
    module: str = ""
    """The module to import again for a new version; empty if it comes with trichat or was given as an object."""


def find_plugins(folder: str = "", extra: Extra = ()) -> list[Found]:
    """Return the plugins that are installed, those in `folder`, and `extra`, in this order.

    Each of `extra` is an installed plugin, a `.py` file or a module, by name, or a class or a module itself. A mapping
    gives them names. Raises `PluginError` if the folder does not exist, or if two plugins have the same name, and
    `TypeError` if `extra` is a single plugin.
    """
    installed = sorted(_points(), key=attrgetter("name"))
    names = {point.name for point in installed}
    found: dict[str, Found] = {}
    for plugin in (*installed, *_in_folder(folder), *_named(extra)):
        if plugin.name not in found:
            found[plugin.name] = plugin
        elif plugin.name in names and plugin.name == plugin.module and plugin.is_asked_for:
            # This asks for the installed plugin. It is not a second plugin of that name.
            found[plugin.name] = found[plugin.name]._replace(is_asked_for=True)
        else:
            raise PluginError(
                f"there are two plugins named {plugin.name!r} ({found[plugin.name].origin} and {plugin.origin}); "
                "rename the one that you add"
            )
    return list(found.values())


@cache
def _points() -> Sequence[Found]:
    """Return what is installed. Cached: the lookup reads files of every package."""
    return [_found(point) for point in entry_points(group=GROUP)]


@cache
def _package(distribution: Distribution | None) -> tuple[str, str]:
    """Return the name and the version of a package."""
    if distribution is None:
        return "an unknown package", ""
    metadata = distribution.metadata  # each access parses all of it
    return metadata["Name"], metadata["Version"]


def _found(point: EntryPoint) -> Found:
    package, version = _package(point.dist)
    is_ours = package == "trichat"
    return Found(point.name, package, version, is_ours, partial(_load, point), "" if is_ours else point.module)


def _load(point: EntryPoint) -> Factory:
    try:
        found = point.load()
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"plugin {point.name!r} ({point.value}) cannot be imported: {with_place(error)}") from error
    if not isinstance(found, (ModuleType, type)):
        raise PluginError(f"plugin {point.name!r} ({point.value}) is {found!r}; expected a class or a module")
    return _factory_in(found) if isinstance(found, ModuleType) else found


def _in_folder(folder: str) -> Iterator[Found]:
    if folder:
        try:
            names = sorted(os.listdir(folder))  # `Path.glob` would skip a folder that it may not read
        except (FileNotFoundError, NotADirectoryError):
            raise PluginError(f"cannot find plugins: there is no folder {folder!r}") from None
        except OSError as error:
            raise PluginError(f"cannot find plugins in the folder {folder!r}: {error.strerror}") from None
        yield from _named([Path(folder, name) for name in names if name.endswith(".py") and not name.startswith("_")])


def _named(extra: Extra) -> Iterator[Found]:
    refuse_single(extra)
    named = extra.items() if isinstance(extra, Mapping) else [(name_of(where), where) for where in extra]
    for name, where in named:
        origin = str(where) if isinstance(where, (str, Path)) else where.__name__
        yield Found(name, origin, "", True, partial(_import, where), _module_of(where))


def _module_of(where: str | Path | Factory) -> str:
    if not isinstance(where, (str, Path)):
        return ""
    return _name_for(Path(where)) if str(where).endswith(".py") else str(where)


def _name_for(path: Path) -> str:
    """Return a module name for a file that no import statement uses: the file may be named like another module."""
    return f"trichat_plugin_file.{path.stem}"


def _import(where: str | Path | Factory) -> Factory:
    if isinstance(where, type):
        return where
    if not isinstance(where, ModuleType):
        where = _import_by_name(str(where))
    return _factory_in(where)


def _import_by_name(where: str) -> ModuleType:
    if where.endswith(".py") and not Path(where).is_file():
        raise PluginError(f"plugin {where!r}: there is no such file")
    try:
        return _import_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except BaseException as error:
        pass_on(error)
        raise PluginError(f"plugin {where!r} cannot be imported: {with_place(error)}") from error


def _import_file(path: Path) -> ModuleType:
    name = _name_for(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def modules_of(module: str) -> Mapping[str, ModuleType]:
    """Return an imported module and those below it, by name."""
    return {name: each for name, each in sys.modules.items() if f"{name}.".startswith(f"{module}.")}


@contextmanager
def imported_anew(module: str) -> Iterator[None]:
    """Let the block import a module and those below it from their files again, although they are already imported.

    If the block raises, the modules that were imported before are put back.
    """
    before = modules_of(module)
    try:
        for name, each in before.items():
            del sys.modules[name]
            # Python compares only the date, in whole seconds, and the length of a file with those of its compiled one.
            with suppress(OSError):
                Path(getattr(each, "__cached__", None) or "").unlink()
        importlib.invalidate_caches()
        linecache.checkcache()
        yield
    except BaseException:
        for name in modules_of(module):
            del sys.modules[name]
        sys.modules.update(before)
        raise


def name_of(plugin: object) -> str:
    """Return a name for a plugin that nobody has named, after its file, its module or its class."""
    if isinstance(plugin, (str, Path)):
        return Path(plugin).stem if str(plugin).endswith(".py") else str(plugin).rpartition(".")[2]
    if isinstance(plugin, ModuleType):
        return plugin.__name__.rpartition(".")[2]
    name = (plugin if isinstance(plugin, type) else type(plugin)).__name__
    return _WORD_END.sub("_", name).lower()


def is_factory(plugin: object) -> TypeGuard[str | Path | Factory]:
    """Whether a plugin is built from it; anything else is a plugin itself."""
    return isinstance(plugin, (str, Path, ModuleType, type))


def refuse_single(plugins: object) -> None:
    """Raise `TypeError` for a single plugin instead of a list. A string would pass for a list of letters."""
    if is_factory(plugins):
        raise TypeError(f"{plugins!r} is a single plugin; give a list")


def _factory_in(module: ModuleType) -> Factory:
    """Return the one object in the module that has hooks: a class of its own, or the module itself."""
    candidates: tuple[Factory, ...] = (module, *_own_classes(module))
    found = [candidate for candidate in candidates if _has_hooks(candidate)]
    if len(found) > 1:
        names = " and ".join(each.__name__ for each in found)
        raise PluginError(f"{module.__file__}: {names} have hooks; a module can hold only one plugin")
    return found[0] if found else module


def _own_classes(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            yield value


def _has_hooks(factory: Factory) -> bool:
    found = (inspect.getattr_static(factory, name) for name in dir(factory) if not name.startswith("__"))
    return any(hasattr(each, "trichat_impl") or is_command(each) for each in found)
