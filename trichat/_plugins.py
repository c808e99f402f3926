"""The plugins of one server, and how they are called.

pluggy keeps the registry and the order; the calls are made here, because a hook may be `async` and pluggy does not
await. Each call walks the implementations in pluggy's order and awaits one after the other, so that an answer can stop
the walk without leaving a coroutine behind, and a changed message goes on to the next plugin.
"""

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from itertools import chain
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import pluggy
import trio

from trichat import hookspecs
from trichat._commands import Command, marked_commands
from trichat._errors import ConfigError, PluginError, RequiredPluginFailed, sentences, split_failure
from trichat._messages import Handled, Message, Refuse
from trichat._order import in_order
from trichat._overdue import Overdue
from trichat._policy import Policy
from trichat._shadow import Shadow

logger = logging.getLogger("trichat.plugins")

P = ParamSpec("P")
R = TypeVar("R")

# What a plugin may answer to a hook that asks, besides None. Anything else is a mistake, and asking fails closed.
ASKING: dict[str, tuple[type, ...]] = {
    "on_connect": (Refuse,),
    "on_join": (Refuse,),
    "on_message": (Message, Handled, Refuse),
    "history": (Iterable,),
}

# The hooks to which plugins contribute at the start. Whoever was registered first is first there, and not last.
CONTRIBUTING = ("lifespan", "commands")


# Within how many seconds the failures of a plugin have to be to put it into quarantine.
QUARANTINE_SPAN = 60.0


class Implementation(NamedTuple):
    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    required: bool
    timeout: float
    policy: Policy


Call = Callable[[str, Implementation, dict[str, Any]], Awaitable[Any]]
"""Calls one plugin in the hook of this name, and returns its answer."""


class _Failed(Exception):
    """A plugin failed in a hook. It is in the log already; the text is what a client may be told."""


class Misbehaved(Exception):
    """What a plugin did is known from outside, so that a traceback would only show this file."""


# All that pluggy takes for a hook.
_HOOKABLE = (FunctionType, MethodType, classmethod, staticmethod)


class _Manager(pluggy.PluginManager):
    """Looks for hooks where they can be: nearly all names of a plugin are something else, and pluggy looks slowly."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if name.startswith("__"):
            return None
        own = getattr(plugin, "__dict__", {}).get(name)
        may_be_one = isinstance(own, _HOOKABLE) or hasattr(getattr(type(plugin), name, None), "trichat_impl")
        return super().parse_hookimpl_opts(plugin, name) if may_be_one else None

    def parse_hookspec_opts(self, module_or_class: ModuleType | type, name: str) -> pluggy.HookspecOpts | None:
        is_one = not name.startswith("__") and hasattr(getattr(module_or_class, name), "trichat_spec")
        return super().parse_hookspec_opts(module_or_class, name) if is_one else None


class Plugins:
    """The registered plugins. `hook_timeout` is what one call may take, in seconds.

    `on_out` is called with the name of a plugin that is told nothing any more, and why; `on_fatal` with why the server
    has to stop.
    """

    def __init__(
        self,
        hook_timeout: float,
        *,
        on_out: Callable[[str, str], None] = lambda _name, _why: None,
        on_fatal: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._timeout = hook_timeout
        self._on_out = on_out
        self._on_fatal = on_fatal
        self.overdue = Overdue()
        """The calls under way."""
        self._manager = _Manager("trichat")
        self._manager.add_hookspecs(hookspecs)
        self._policies: dict[str, Policy] = {}
        self._crashed: set[str] = set()
        self._quarantined: set[str] = set()
        self._failures: dict[str, deque[float]] = {}
        """When each plugin failed last, as often as it may."""
        self._hooks: dict[str, list[Implementation]] = {}
        self.traced: Callable[[Call, object, Message], Awaitable[Message | Handled | Refuse]] | None = None
        """Who asks about a message instead, as long as somebody watches, by calling each plugin through its own."""
        self._resolve(vars(self._manager.hook).values())

    @property
    def crashed(self) -> Set[str]:
        """The plugins whose lifespan has crashed."""
        return self._crashed

    @property
    def names(self) -> list[str]:
        """The names of the plugins, in the order of their registration."""
        return [name for name, _ in self._manager.list_name_plugin()]

    def files(self) -> Mapping[str, str]:
        """The names of the plugins, by the files that they are written in."""
        return {_source(plugin): name for name, plugin in self._manager.list_name_plugin()}

    def hooks_of(self, name: str) -> list[str]:
        """The hooks that a plugin implements."""
        return [hook for hook, found in self._hooks.items() if any(each.plugin == name for each in found)]

    def order(self) -> dict[str, list[str]]:
        """For each hook the plugins that implement it, as they are called."""
        return {hook: [each.plugin for each in found] for hook, found in self._hooks.items()}

    def commands(self) -> Iterator[tuple[str, Iterable[Command]]]:
        """Yield the commands of each plugin, with its name: those that it marks and those that it contributes.

        A plugin in shadow has none: who gives one would wait for its effect.
        """
        marked = ((name, marked_commands(plugin)) for name, plugin in self._manager.list_name_plugin())
        for name, found in chain(marked, self.contributions(hookspecs.commands)):
            if not self._policies[name].shadow:
                yield name, found

    def implements(self, hook: Callable[..., object]) -> bool:
        """Whether any plugin implements `hook`."""
        return bool(self._hooks[hook.__name__])

    def register(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Add a plugin: a module or an instance. Raises `PluginError` if it is not made as it has to be."""
        if self._manager.has_plugin(name):
            raise PluginError(f"plugin {name!r} ({_source(plugin)}): another plugin has this name already")
        self._policies[name] = (policy or Policy()).in_effect()
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            self._check(plugin)
            self._resolve(self._manager.get_hookcallers(plugin) or ())
        except (pluggy.PluginValidationError, ValueError, PluginError) as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise PluginError(f"plugin {name!r} ({_source(plugin)}): {' '.join(str(error).split())}") from None

    def _check(self, plugin: object) -> None:
        callers = self._manager.get_hookcallers(plugin) or []
        if not callers and next(marked_commands(plugin), None) is None:
            raise PluginError("it has no hooks; is @hookimpl missing?")
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper):
                    raise PluginError(
                        f"{caller.name} is a wrapper, and trichat has none: change the message that you are asked "
                        "about, or your place in the order with tryfirst or trylast"
                    )

    def timeout_of(self, name: str) -> float:
        """What one call of a plugin may take, in seconds."""
        own = self._policies[name].hook_timeout
        return self._timeout if own is None else own

    def mark_crashed(self, name: str) -> None:
        """Take the plugin out of the hooks that tell, and let it refuse in those that ask: it fails closed."""
        self._crashed.add(name)
        if self._policies[name].on_error == "stop":
            self._on_fatal(f"the plugin {name!r} crashed")
        self._take_out(name, "it crashed")

    def _note_failure(self, name: str, hook: str) -> None:
        """Count a failure, and put the plugin into quarantine if it was one too many."""
        if name in self._crashed:
            return  # to refuse is all that it does any more
        policy = self._policies[name]
        if policy.on_error == "stop":
            self._on_fatal(f"the plugin {name!r} failed")
        # Whoever mends a file and reloads until it is right must not lose the plugin by that.
        if hook != "on_reload" and policy.quarantine_after and name not in self._quarantined:
            times = self._failures.setdefault(name, deque(maxlen=policy.quarantine_after))
            times.append(trio.current_time())
            if len(times) == policy.quarantine_after and times[-1] - times[0] <= QUARANTINE_SPAN:
                self._quarantined.add(name)
                count = policy.quarantine_after
                why = self._take_out(name, f"it failed {count} time{'s' if count > 1 else ''} within a minute")
                logger.error("plugin %r: %s", name, why)

    def _take_out(self, name: str, why: str) -> str:
        """Tell a plugin nothing any more, and return what to say of it. What it is asked is not opened by that."""
        hooks = self.hooks_of(name)
        consequences = []
        if any(hook not in ASKING and hook not in CONTRIBUTING for hook in hooks):
            consequences.append("is told nothing any more")
        if any(hook in ASKING for hook in hooks):
            consequences.append("refuses what it is asked" if name in self._crashed else "is still asked")
        why = f"{why}; it {', and '.join(consequences)}" if consequences else why
        self._resolve(vars(self._manager.hook).values())
        self._on_out(name, why)
        return why

    def _implementation(self, hook: str, found: pluggy.HookImpl) -> Implementation:
        name, policy = found.plugin_name, self._policies[found.plugin_name]
        function, arguments = found.function, tuple(found.argnames)
        if policy.shadow:
            given = tuple(inspect.signature(getattr(hookspecs, hook)).parameters)
            function, arguments = Shadow(name, function, arguments, given, ASKING.get(hook, ())), given
        return Implementation(name, function, arguments, policy.requires(found.plugin), self.timeout_of(name), policy)

    def _resolve(self, callers: Iterable[pluggy.HookCaller]) -> None:
        """Look the implementations of some hooks up once, so that no call has to."""
        for caller in callers:
            found = [self._implementation(caller.name, each) for each in reversed(caller.get_hookimpls())]
            if caller.name in CONTRIBUTING:
                registered = self.names
                found.sort(key=lambda implementation: registered.index(implementation.plugin))
            elif caller.name == "on_broadcast":
                # What a required plugin stops has been seen by no other one.
                found.sort(key=lambda implementation: not implementation.required)
            by_name = {implementation.plugin: implementation for implementation in found}
            names = in_order({name: self._manager.get_plugin(name) for name in by_name})
            ordered = [by_name[name] for name in names]
            self._hooks[caller.name] = list(self._without_those_out(caller.name, ordered))

    def _without_those_out(self, hook: str, found: list[Implementation]) -> Iterator[Implementation]:
        for implementation in found:
            is_asked = hook in ASKING or (implementation.required and hook == "on_broadcast")
            if implementation.plugin in self._crashed:
                if is_asked and implementation.policy.on_error != "skip":
                    yield implementation._replace(function=_refuse_as_crashed, arguments=())
            elif is_asked or implementation.plugin not in self._quarantined:
                yield implementation

    async def ask(self, hook: Callable[P, Awaitable[R]], *_: P.args, **kwargs: P.kwargs) -> R | Refuse | None:
        """Ask one plugin after the other, until one answers; arguments by keyword. A plugin that fails refuses."""
        for implementation in self._hooks[hook.__name__]:
            try:
                answer = await self._call(hook.__name__, implementation, kwargs)
            except _Failed as failure:
                if implementation.policy.on_error == "skip":
                    continue
                return Refuse(str(failure))
            if answer is not None:
                return answer  # type: ignore[no-any-return]
        return None

    async def ask_message(
        self, client: object, message: Message, call: Call | None = None
    ) -> Message | Handled | Refuse:
        """Ask every plugin about a message, each about what the one before it made of it."""
        if call is None:
            # One look for all plugins together is what a trace costs that nobody watches.
            if self.traced is not None:
                return await self.traced(self._call, client, message)
            call = self._call
        arguments: dict[str, object] = {"client": client, "message": message}
        for implementation in self._hooks["on_message"]:
            try:
                answer = await call("on_message", implementation, arguments)
            except _Failed as failure:
                if implementation.policy.on_error == "skip":
                    continue
                return Refuse(str(failure))
            if isinstance(answer, Message):
                message = arguments["message"] = answer
            elif answer is not None:
                return answer  # type: ignore[no-any-return]
        return message

    async def tell(self, hook: Callable[P, Awaitable[None]], *_: P.args, **kwargs: P.kwargs) -> list[str]:
        """Tell every plugin, and return what failed: a sentence for each plugin that did.

        Raises `RequiredPluginFailed` if one fails that is required, before the next is told. Every plugin is called
        even if the telling is cancelled: its first wait is cancelled then.
        """
        failures: list[str] = []
        cancelled: BaseException | None = None
        for implementation in self._hooks[hook.__name__]:
            try:
                await self._call(hook.__name__, implementation, kwargs)
            except _Failed as failure:
                if implementation.required and hook is hookspecs.on_broadcast:
                    raise RequiredPluginFailed(str(failure)) from failure.__cause__
                failures.append(f"{failure}: {sentences(failure.__cause__ or failure)}")
            except (trio.Cancelled, BaseExceptionGroup) as error:  # noqa: ASYNC103
                cancelled = error  # raised below
        if cancelled is not None:
            raise cancelled
        return failures

    def contributions(self, hook: Callable[P, R], *_: P.args, **kwargs: P.kwargs) -> Iterator[tuple[str, R]]:
        """Yield what each plugin contributes, with its name, in the order of their registration.

        Raises `PluginError` if one fails.
        """
        for implementation in self._hooks[hook.__name__]:
            try:
                contribution = _invoke(implementation, kwargs)
                if inspect.iscoroutine(contribution):
                    contribution.close()
                    raise TypeError("it must be a plain def")
            except (Exception, SystemExit) as error:
                raise PluginError(f"plugin {implementation.plugin!r} failed in {hook.__name__}: {error!r}") from error
            yield implementation.plugin, contribution

    async def _call(self, hook: str, implementation: Implementation, arguments: dict[str, Any]) -> Any:
        """Call one plugin and return its answer. Raises `_Failed`."""
        try:
            answer = _invoke(implementation, arguments)
            # Only what waits needs a deadline, and a cancel scope costs as much as everything else here together.
            if answer is not None and inspect.isawaitable(answer):
                answer = await self._within_time(hook, implementation, answer)
            if answer is not None and not isinstance(answer, ASKING.get(hook, object)):
                raise Misbehaved(f"{answer!r} is no answer to this hook")
        except BaseException as error:
            failure, passing = split_failure(error)
            if failure is not None:
                # An OSError or a fault in a file tells of the world, not of the plugin's code.
                trace = None if isinstance(failure, (Misbehaved, OSError, ConfigError)) else failure
                logger.error(
                    "plugin %r failed in %s: %s", implementation.plugin, hook, sentences(failure), exc_info=trace
                )
                self._note_failure(implementation.plugin, hook)
            if passing is not None:
                raise passing from None  # noqa: ASYNC104
            raise _Failed(f"the plugin {implementation.plugin!r} failed") from failure  # noqa: ASYNC104
        return answer

    async def _within_time(self, hook: str, implementation: Implementation, answer: Awaitable[Any]) -> Any:
        with trio.move_on_after(implementation.timeout) as scope:
            self.overdue.begin(scope, implementation.plugin, hook)
            try:
                result = await answer
            finally:
                self.overdue.end(scope)
        late = f"it took longer than hook_timeout ({implementation.timeout:g} s)"
        # An answer that came too late may have come about in any state. What was only told, and has come to its end in
        # spite of its deadline, is done all the same: a batch that is in the log is sent.
        if scope.cancelled_caught or (scope.cancel_called and hook in ASKING):
            raise Misbehaved(late)
        if scope.cancel_called:
            logger.warning("plugin %r in %s: %s", implementation.plugin, hook, late)
        return result


def _invoke(implementation: Implementation, arguments: dict[str, Any]) -> Any:
    return implementation.function(*[arguments[name] for name in implementation.arguments])


def _refuse_as_crashed() -> None:
    raise Misbehaved("it crashed earlier, and asking it fails closed")


def _source(plugin: object) -> str:
    try:
        return inspect.getfile(plugin if inspect.ismodule(plugin) else type(plugin))
    except (TypeError, OSError):
        return repr(plugin)
