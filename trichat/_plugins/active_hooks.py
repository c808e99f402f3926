"""Which plugins are called in which hook: those that implement it.

One that failed too often is asked, but told nothing any more. One that crashed refuses whatever it is asked.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import cached_property

import trio
from msgspec.structs import replace

from trichat._base.failures import Misbehaved
from trichat._plugins.quarantine import FailureCounts
from trichat._plugins.registry import ASKING, CONTRIBUTING, Implementation, Registered, Registry

logger = logging.getLogger("trichat.plugins")


class ActiveHooks:
    """The registered plugins, and what became of each.

    `on_silenced` is called with the name of a plugin that is told nothing any more, and why; `on_fatal` with why the
    server has to stop.
    """

    def __init__(self, *, on_silenced: Callable[[str, str], None], on_fatal: Callable[[str], None]) -> None:
        self._on_silenced = on_silenced
        self._on_fatal = on_fatal
        self._failures = FailureCounts()
        self.registry = Registry()
        """The plugins that there are."""
        self.hooks = self.resolved()
        """What is called in each hook, by its name, in this order."""

    @property
    def crashed(self) -> Set[str]:
        """The plugins whose lifespan has crashed."""
        return self._failures.crashed

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The names of the plugins, by the file that each is written in."""
        return self.registry.files()

    def implements(self, hook: Callable[..., object]) -> bool:
        """Whether any plugin is called in `hook`."""
        return bool(self.hooks[hook.__name__])

    def order(self) -> dict[str, list[str]]:
        """Return the names of the plugins that are called in each hook, in this order."""
        return {hook: [each.plugin for each in found] for hook, found in self.hooks.items()}

    def add(self, registered: Registered) -> None:
        """Add a plugin. Raises `PluginError` if it is not built as a plugin has to be."""
        self.registry.add(registered)
        self._change()

    def install(self, registry: Registry, name: str) -> None:
        """Call the plugins of `registry` from now on. In it, another plugin has replaced `name`."""
        self.registry = registry
        self._failures.forget(name)
        self._change()

    def mark_crashed(self, name: str) -> str:
        """Remove the plugin from hooks that tell, and let it refuse in hooks that ask.

        Returns what to tell people about it.
        """
        if self._failures.mark_crashed(name) and self.registry[name].policy.on_error == "stop":
            self._on_fatal(f"the plugin {name!r} crashed")
        return self._take_out(name, "it crashed")

    def note_failure(self, owner: Registered, hook: str) -> None:
        """Count a failure, and quarantine the plugin if it was one too many."""
        name, policy = owner.name, owner.policy
        if name in self._failures.crashed:
            return  # it only refuses by now
        if policy.on_error == "stop":
            self._on_fatal(f"the plugin {name!r} failed")
        # Somebody who fixes a file and reloads until it is right must not lose the plugin over it.
        limit = 0 if hook == "on_reload" else policy.quarantine_after
        if self._failures.are_too_many(name, limit, trio.current_time()):
            times = f"{limit} times" if limit > 1 else "once"
            logger.error("plugin %r: %s", name, self._take_out(name, f"it failed {times} within a minute"))

    def end_quarantine(self, name: str) -> None:
        """Tell a plugin everything again: it has reloaded, so somebody has taken care of what made it fail."""
        if self._failures.end_quarantine(name):
            self._change()
            logger.info("plugin %r has reloaded: it is told everything again", name)

    def _take_out(self, name: str, why: str) -> str:
        """Stop telling a plugin anything, and return what to tell people about it. It is still asked, or refuses."""
        self._change()
        hooks = self.registry.hooks_of(name)
        consequences = []
        told = [hook for hook in hooks if hook not in ASKING and hook not in CONTRIBUTING]
        kept = [] if name in self._failures.crashed else [hook for hook in told if self._is_called(name, hook)]
        if len(kept) < len(told):
            consequences.append(f"is told nothing any more{' but ' if kept else ''}{' and '.join(kept)}")
        elif kept:
            consequences.append(f"is still told {' and '.join(kept)}")
        if any(hook in ASKING for hook in hooks):
            if name not in self._failures.crashed:
                consequences.append("is still asked")
            elif self.registry[name].policy.on_error == "skip":
                consequences.append("is asked nothing any more")
            else:
                consequences.append("refuses what it is asked")
        why = f"{why}; it {', and '.join(consequences)}" if consequences else why
        self._on_silenced(name, why)
        return why

    def _is_called(self, name: str, hook: str) -> bool:
        return any(each.plugin == name for each in self.hooks[hook])

    def _change(self) -> None:
        self.hooks = self.resolved()
        self.__dict__.pop("files", None)  # computed again when it is asked for

    def resolved(self) -> Mapping[str, Sequence[Implementation]]:
        """Return which plugins are called in each hook now. The test kit puts a cancel scope around each of them."""
        return {hook: list(self._without_those_out(hook, found)) for hook, found in self.registry.hooks.items()}

    def _without_those_out(self, hook: str, found: list[Implementation]) -> Iterator[Implementation]:
        for implementation in found:
            is_asked = hook in ASKING or implementation.required
            # A log that is not told would keep writing to the file that was moved away. It also ends a quarantine.
            is_kept = is_asked or hook == "on_reload"
            if implementation.plugin in self._failures.crashed:
                if is_asked and implementation.owner.policy.on_error != "skip":
                    yield replace(implementation, call=_refuse_as_crashed)
            elif is_kept or implementation.plugin not in self._failures.quarantined:
                yield implementation


def _refuse_as_crashed(*_: object) -> None:
    raise Misbehaved("it crashed earlier, and refuses whatever it is asked")
