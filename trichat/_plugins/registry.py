"""The registered plugins of a server: checked, and in the order in which each hook calls them.

pluggy keeps them and their order. Mistakes of plugin authors are found here, and told in one sentence.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any

import msgspec
import pluggy

from trichat import hookspecs
from trichat._base.errors import PluginError
from trichat._base.failures import sentences
from trichat._base.messages import Handled, Message, Refuse
from trichat._base.suggestion import suggestion
from trichat._config.plugin_policy import Policy
from trichat._plugins.commands import marked_commands
from trichat._plugins.ordering import in_order
from trichat._plugins.shadow import Shadow

# What a plugin may answer to a hook that asks, besides None. Anything else is a failure, which refuses.
ASKING: dict[str, tuple[type, ...]] = {
    "on_connect": (Refuse,),
    "on_join": (Refuse,),
    "on_enter": (Refuse,),
    "on_rename": (Refuse,),
    "on_message": (Message, Handled, Refuse),
    "on_tell": (str, Handled, Refuse),
    "history": (Iterable,),
    "permits": (bool, Refuse),
}

# The hooks to which plugins contribute. Here the plugin that was registered first comes first, not last.
CONTRIBUTING = ("lifespan", "commands", "listeners", "announcements", "control_requests")

# The hooks that nobody can wait for.
PLAIN = (*CONTRIBUTING, "permits")

# Everything that pluggy considers a hook.
_HOOKABLE = (FunctionType, MethodType, classmethod, staticmethod)


class Registered:
    """A plugin with a name, and what the configuration says about it. `timeout` is for one call, in seconds."""

    def __init__(self, name: str, plugin: object, policy: Policy, timeout: float) -> None:
        self.name = name
        self.plugin = plugin
        self.policy = policy
        self.timeout = timeout
        self.takes_calls = True
        """Whether a call can begin: `Gates` lets none begin while it is about to be replaced, and once it was."""


class Implementation(msgspec.Struct, frozen=True):
    """What one plugin does in one hook."""

    plugin: str
    call: Callable[..., Any]
    """Takes all arguments of the hook, in order, and calls the plugin's function with those that it takes."""
    required: bool
    """Whether a batch that this fails on is sent to nobody."""
    owner: Registered


def _taking(function: Callable[..., Any], names: Sequence[str], of_hook: Sequence[str]) -> Callable[..., Any]:
    """Return a function that takes the arguments `of_hook` and calls `function` with those in `names`."""
    if tuple(names) == tuple(of_hook):
        return function  # one call takes half as long as two
    match [of_hook.index(name) for name in names]:
        case []:
            return lambda *_: function()
        case [place]:  # picking one out of a list would take twice as long
            return lambda *given: function(given[place])
        case places:
            pick = itemgetter(*places)
            return lambda *given: function(*pick(given))


class _Manager(pluggy.PluginManager):
    """Looks for hooks only where they can be: nearly all names are something else, and pluggy is slow for each."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if name.startswith("__"):
            return None
        own = getattr(plugin, "__dict__", {}).get(name)
        function = own if isinstance(own, _HOOKABLE) else getattr(type(plugin), name, None)
        options: pluggy.HookimplOpts | None = getattr(function, "trichat_impl", None)
        return options

    def parse_hookspec_opts(self, module_or_class: ModuleType | type, name: str) -> pluggy.HookspecOpts | None:
        options: pluggy.HookspecOpts | None = getattr(getattr(module_or_class, name), "trichat_spec", None)
        return options


class Registry:
    """Plugins by name, in the order of their registration."""

    def __init__(self) -> None:
        self._manager = _Manager("trichat")
        self._manager.add_hookspecs(hookspecs)
        self._registered: dict[str, Registered] = {}
        self.hooks: dict[str, list[Implementation]] = {}
        """The implementations of each hook, by its name, in the order in which they are called."""
        self._resolve(vars(self._manager.hook).values())

    def __iter__(self) -> Iterator[Registered]:
        return iter(self._registered.values())

    def __contains__(self, name: str) -> bool:
        return name in self._registered

    def __getitem__(self, name: str) -> Registered:
        return self._registered[name]

    def files(self) -> Mapping[str, str]:
        """Return the names of the plugins, by the files that they are written in."""
        return {source_of(each.plugin): each.name for each in self}

    def hooks_of(self, name: str) -> list[str]:
        """Return the hooks that a plugin implements."""
        return [hook for hook, found in self.hooks.items() if any(each.plugin == name for each in found)]

    def add(self, registered: Registered) -> None:
        """Add a plugin: a module or an instance. Raises `PluginError` if it is not built as a plugin has to be."""
        name, plugin = registered.name, registered.plugin
        problem = self._problem(name, plugin)
        if problem is not None:
            raise PluginError(f"plugin {name!r} ({source_of(plugin)}): {problem}")
        self._registered[name] = registered
        try:
            self._manager.register(plugin, name)
            callers = self._manager.get_hookcallers(plugin) or []
            self._check(plugin, callers)
            self._resolve(callers)
        except Exception as error:  # whatever the plugin raises when it is inspected
            del self._registered[name]
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
                # pluggy keeps what it considered a hook, also where that was a mistake.
                self._resolve([getattr(self._manager.hook, hook) for hook in self.hooks])
            raise PluginError(f"plugin {name!r} ({source_of(plugin)}): {' '.join(sentences(error).split())}") from None

    def with_another(self, successor: Registered) -> "Registry":
        """Return a registry in which `successor` replaces the plugin of its name. Raises what `add` raises."""
        registry = Registry()
        for each in self:
            registry.add(successor if each.name == successor.name else each)
        return registry

    def _problem(self, name: object, plugin: object) -> str | None:
        """Return why a plugin cannot be looked at, or not under this name."""
        if not isinstance(name, str) or not name:
            return "the name of a plugin must be a string that is not empty"
        if name in self._registered:
            return "another plugin has this name already"
        if inspect.isclass(plugin):
            return f"it is a class; pass an object of it, such as {plugin.__name__}()"
        twin = next((each.name for each in self if each.plugin is plugin), None)
        return None if twin is None else f"the plugin {twin!r} is the same object; make another one"

    def _check(self, plugin: object, callers: Sequence[pluggy.HookCaller]) -> None:
        if not callers and next(marked_commands(plugin), None) is None:
            raise PluginError("it has no hooks; is @hookimpl missing?")
        for caller in callers:
            if not caller.has_spec():
                raise PluginError(f"unknown hook {caller.name!r}{suggestion(caller.name, list(self.hooks))}")
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    _check_hook(caller.name, implementation)

    def _resolve(self, callers: Iterable[pluggy.HookCaller]) -> None:
        """Look up the implementations of some hooks once, so that no call has to."""
        for caller in callers:
            found = [self._implementation(caller, each) for each in reversed(caller.get_hookimpls())]
            if caller.name in CONTRIBUTING:
                names = list(self._registered)
                found.sort(key=lambda implementation: names.index(implementation.plugin))
            elif caller.name == "on_broadcast":
                # A batch that a required plugin stops must not have been seen by any other plugin.
                found.sort(key=lambda implementation: not implementation.required)
            by_name = {implementation.plugin: implementation for implementation in found}
            ordered = in_order({name: implementation.owner.plugin for name, implementation in by_name.items()})
            self.hooks[caller.name] = [by_name[name] for name in ordered]

    def _implementation(self, hook: pluggy.HookCaller, found: pluggy.HookImpl) -> Implementation:
        assert hook.spec is not None  # `add` refuses hooks without one
        owner = self._registered[found.plugin_name]
        call = _taking(found.function, found.argnames, hook.spec.argnames)
        if owner.policy.shadow:
            call = Shadow(owner.name, call, ASKING.get(hook.name, ()))
        required = hook.name == "on_broadcast" and owner.policy.requires(owner.plugin)
        return Implementation(owner.name, call, required, owner)


def _check_hook(hook: str, implementation: pluggy.HookImpl) -> None:
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginError(
            f"{hook} is a wrapper, which trichat does not support: change the message that you are asked about, or use "
            "tryfirst or trylast to change your place in the order"
        )
    if hook in PLAIN and inspect.iscoroutinefunction(implementation.function):
        hint = ", or decorated with @asynccontextmanager" if hook == "lifespan" else ""
        raise PluginError(f"{hook} is an async def; it must be a plain def{hint}")


def source_of(plugin: object) -> str:
    """Return the file that a plugin is written in, or a description of the plugin if there is none."""
    try:
        return inspect.getfile(plugin if inspect.ismodule(plugin) or inspect.isclass(plugin) else type(plugin))
    except (TypeError, OSError):
        return repr(plugin)
