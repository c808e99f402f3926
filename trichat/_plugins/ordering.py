"""The order that plugins ask for, with their attributes `before` and `after`."""

from collections.abc import Mapping, Sequence

from trichat._base.errors import PluginError


def in_order(plugins: Mapping[str, object]) -> list[str]:
    """Return the names of plugins in the order that they ask for. Plugins that ask for none stay in place.

    Raises `PluginError` if no order satisfies all of them.
    """
    later: dict[str, set[str]] = {name: set() for name in plugins}
    """For each plugin, those that have to come later."""
    for name, plugin in plugins.items():
        later[name].update(_names_in(plugin, name, "before"))
        for other in _names_in(plugin, name, "after"):
            if other in later:
                later[other].add(name)
    if not any(later.values()):
        return list(plugins)  # nearly always
    ordered: list[str] = []
    waiting = list(plugins)
    while waiting:
        free = [name for name in waiting if not any(name in later[other] for other in waiting)]
        if not free:
            raise PluginError(f"the order of plugins has a cycle: {_cycle(later, waiting)}")
        ordered.append(free[0])
        waiting.remove(free[0])
    return ordered


def _names_in(plugin: object, name: str, attribute: str) -> Sequence[str]:
    """Return the plugins that `plugin` has to come before or after."""
    wanted = getattr(plugin, attribute, ())
    if isinstance(wanted, str) or not all(isinstance(other, str) for other in wanted):
        raise PluginError(f"plugin {name!r}: {attribute} is {wanted!r}; expected a list of plugin names")
    return list(wanted)


def _cycle(later: dict[str, set[str]], stuck: list[str]) -> str:
    """Return a cycle. The walk goes from a plugin to one that has to come earlier, until it meets a plugin again."""
    way = [stuck[0]]
    while way[-1] not in way[:-1]:
        earlier = [name for name in stuck if way[-1] in later[name]]
        way.append(earlier[0])
    way = way[way.index(way[-1]) :]
    return " before ".join(repr(name) for name in reversed(way))
