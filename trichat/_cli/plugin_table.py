"""`trichat plugins`: shows every plugin that was found, and says why if one cannot be used."""

import inspect
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec

from trichat import hookspecs
from trichat._base.errors import PluginError
from trichat._base.suggestion import suggestion
from trichat._cli.config_dump import keys
from trichat._config.options import Config
from trichat._plugins.commands import command_table, marked_commands
from trichat._plugins.discovery import Extra, Found, find_plugins
from trichat._plugins.dispatch import Plugins
from trichat._plugins.loader import Choice, build_plugins, choose, is_wanted


class Item(NamedTuple):
    """A plugin, and whether it runs."""

    found: Found
    state: str
    """`on`, `off`, `shadow` or `broken`."""
    choice: Choice | None
    """The plugin as loaded; `None` if it was not imported, or could not be."""
    hooks: Sequence[str] = ()
    """The hooks that it implements, if it runs."""
    commands: Sequence[str] = ()
    """The usage of each slash command that it marks, if people can give it."""
    faults: Sequence[str] = ()
    """Why it is broken."""

    @property
    def version(self) -> str:
        """The version of its package, or else the module's own `__version__`."""
        module = inspect.getmodule(self.choice.factory) if self.choice else None
        return self.found.version or str(getattr(module, "__version__", "-"))


class Inventory(NamedTuple):
    """All plugins, and the order in which each hook calls those that run."""

    items: Sequence[Item]
    plugins: Plugins

    def table(self) -> str:
        """Return one line for each plugin, and one for each hook."""
        rows = [("NAME", "VERSION", "FROM", "STATE", "HOOKS AND COMMANDS")]
        for item in self.items:
            about = "; ".join(item.faults) or ", ".join(
                [*item.hooks, *(usage.partition(" ")[0] for usage in item.commands)]
            )
            rows.append((item.found.name, item.version, item.found.origin, item.state, about))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        order = [f"{hook}: {', '.join(names)}" for hook, names in self.plugins.active.order().items() if names]
        return "\n".join([*lines, "", "Each hook calls them in this order:", *order])

    def details(self, name: str) -> str:
        """Return the details of one plugin. Raises `PluginError` if no plugin has this name."""
        item = next((item for item in self.items if item.found.name == name), None)
        if item is None:
            names = [item.found.name for item in self.items]
            raise PluginError(f"there is no plugin {name!r}{suggestion(name, names)}; there are: {', '.join(names)}")
        return "\n".join(_details(item))


def take_inventory(config: Config, extra: Extra = ()) -> Inventory:
    """Look at every plugin. A faulty plugin does not hide the others.

    Raises `PluginError` if two plugins have the same name, or if `plugins_dir` does not exist.
    """
    plugins = Plugins(config.server.hook_timeout)
    return Inventory(
        [_look_at(found, config, plugins) for found in find_plugins(config.server.plugins_dir, extra)], plugins
    )


def _look_at(found: Found, config: Config, plugins: Plugins) -> Item:
    if not is_wanted(found, config):
        return Item(found, "off", None)
    faults: list[str] = []
    choice, commands = None, list[str]()
    try:
        choice = choose(found, config, faults)
        made = build_plugins([choice], faults) if choice is not None else {}
        for name, plugin in made.items():
            plugins.register(name, plugin, choice.policy if choice else None)
            # Only a running server can ask for contributed commands: they may need what the lifespan opens.
            marked = command_table([(name, marked_commands(plugin))])
            if not plugins.active.registry[name].policy.shadow:
                commands = [each.usage for each in marked.values()]
    except PluginError as error:
        faults.append(str(error))
    if faults:
        return Item(found, "broken", choice, faults=faults)
    if choice is None or not choice.enabled:
        return Item(found, "off", choice)
    state = "shadow" if choice.policy.shadow else "on"
    return Item(found, state, choice, plugins.active.registry.hooks_of(found.name), commands)


def _details(item: Item) -> Iterator[str]:
    yield f"{item.found.name} {item.version}, from {item.found.origin}: {item.state}"
    yield from item.faults
    if item.choice is None:
        return
    yield from ("", _documentation(item.choice.factory))
    if item.hooks:
        yield from ("", f"hooks: {', '.join(item.hooks)}")
    if item.commands:
        yield from ("", f"commands: {', '.join(item.commands)}")
    if hookspecs.commands.__name__ in item.hooks:
        yield from ("", "It may contribute more commands when the server starts.")
    yield from ("", f"[plugins.{item.found.name}]")
    for options in (item.choice.policy, item.choice.options):
        if options is not None:
            types = {field.name: field for field in msgspec.structs.fields(options)}
            for key, lines in keys(options).items():
                kind = f"# {_type_text(types[key].type)}; by default {_default(types[key])}."
                yield from (*lines[:-1], kind, lines[-1])


def _documentation(factory: ModuleType | type) -> str:
    module = inspect.getmodule(factory)
    texts = [inspect.getdoc(each) for each in dict.fromkeys((module, factory)) if each is not None]
    return "\n\n".join(text for text in texts if text) or "It has no documentation."


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        return repr(field.default)
    return (
        repr(field.default_factory()) if field.default_factory is not msgspec.NODEFAULT else "nothing: it is required"
    )


def _type_text(annotation: Any) -> str:
    """Return a type as people write it, without the metadata of `Annotated`."""
    if get_origin(annotation) is Annotated:
        return _type_text(get_args(annotation)[0])
    if annotation is type(None):
        return "None"
    inner = [_type_text(each) if each is not ... else "..." for each in get_args(annotation)]
    name = getattr(get_origin(annotation) or annotation, "__name__", str(annotation))
    if name in ("Union", "UnionType"):
        return " | ".join(inner)
    if name == "Literal":
        return " | ".join(map(repr, get_args(annotation)))
    return f"{name}[{', '.join(inner)}]" if inner else name
