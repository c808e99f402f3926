"""Which plugins there are: installed, in a folder of plugins, and named one by one.

Finding a plugin imports nothing. What is imported is a module, or a class that is called once per server; a module with
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
    """A plugin that is there."""

    name: str
    origin: str
    """Where it is from: a package, a file, a module."""
    version: str
    """That of its package; empty where there is none."""
    is_asked_for: bool
    """Whether it runs without a table that says so: one of our own, or one that somebody pointed at."""
    load: Callable[[], Factory]
    """Imports it. Raises `PluginError`."""
    module: str = ""
    """The module to import anew for another version of it; empty for what comes with trichat, or is there already."""


def find_plugins(folder: str = "", extra: Extra = ()) -> list[Found]:
    """Return the plugins that are installed, those in `folder`, and `extra`, in this order.

    Each of `extra` is an installed plugin, a `.py` file or a module, by name, or it is a class or a module itself; it
    may come with a name of its own. Raises `PluginError` if there is no such folder, or if two have one name.
    """
    installed = sorted(_points(), key=attrgetter("name"))
    names = {point.name for point in installed}
    found: dict[str, Found] = {}
    for plugin in (*installed, *_in_folder(folder), *_named(extra)):
        if plugin.name not in found:
            found[plugin.name] = plugin
        elif plugin.name in names and plugin.name == plugin.module and plugin.is_asked_for:
            # That is how an installed one is asked for, and no second one of its name.
            found[plugin.name] = found[plugin.name]._replace(is_asked_for=True)
        else:
            raise PluginError(
                f"there are two plugins of the name {plugin.name!r} ({found[plugin.name].origin} and {plugin.origin}); "
                "rename the one that you add"
            )
    return list(found.values())


@cache
def _points() -> Sequence[Found]:
    """What is installed. Looking it up reads files of every package."""
    return [_found(point) for point in entry_points(group=GROUP)]


@cache
def _package(distribution: Distribution | None) -> tuple[str, str]:
    """Return the name and the version of a package."""
    if distribution is None:
        return "an unknown package", ""
    metadata = distribution.metadata  # each look parses all of it
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
            names = sorted(os.listdir(folder))  # where `Path.glob` finds nothing in what it may not read
        except (FileNotFoundError, NotADirectoryError):
            raise PluginError(f"{folder!r} is no folder of plugins: there is no such folder") from None
        except OSError as error:
            raise PluginError(f"{folder!r}: the folder of plugins cannot be read ({error.strerror})") from None
        yield from _named([Path(folder, name) for name in names if name.endswith(".py") and not name.startswith("_")])


def _named(extra: Extra) -> Iterator[Found]:
    named = extra.items() if isinstance(extra, Mapping) else [(name_of(where), where) for where in extra]
    for name, where in named:
        origin = str(where) if isinstance(where, (str, Path)) else where.__name__
        yield Found(name, origin, "", True, partial(_import, where), _module_of(where))


def _module_of(where: str | Path | Factory) -> str:
    if not isinstance(where, (str, Path)):
        return ""
    return _name_for(Path(where)) if str(where).endswith(".py") else str(where)


def _name_for(path: Path) -> str:
    """What to call the module of a file, so that no import statement asks for it: it may be called like any other."""
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
    """Return a module that is imported, and those below it, by name."""
    return {name: each for name, each in sys.modules.items() if f"{name}.".startswith(f"{module}.")}


@contextmanager
def imported_anew(module: str) -> Iterator[None]:
    """In the block, import a module and those below it from their files, although they are imported already.

    If the block raises anything, those that were there before are there again.
    """
    before = modules_of(module)
    try:
        for name, each in before.items():
            del sys.modules[name]
            # By its date, in seconds, and its length, a file may look like the one that was compiled.
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
    """Return what to call a plugin that nobody has named: after its file, its module or its class."""
    if isinstance(plugin, (str, Path)):
        return Path(plugin).stem if str(plugin).endswith(".py") else str(plugin).rpartition(".")[2]
    if isinstance(plugin, ModuleType):
        return plugin.__name__.rpartition(".")[2]
    name = (plugin if isinstance(plugin, type) else type(plugin)).__name__
    return _WORD_END.sub("_", name).lower()


def is_factory(plugin: object) -> TypeGuard[str | Path | Factory]:
    """Whether a plugin is made of it; anything else is one."""
    return isinstance(plugin, (str, Path, ModuleType, type))


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
    found = (inspect.getattr_static(factory, name) for name in dir(factory) if not name.startswith("__"))
    return any(hasattr(each, "trichat_impl") or is_command(each) for each in found)
