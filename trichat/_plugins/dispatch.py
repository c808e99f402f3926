"""The plugins of one server, and how they are called.

pluggy keeps the registry and the order. The calls are made here, because a hook may be `async` and pluggy does not
await. Each call walks the implementations in order and awaits one after the other: an answer can stop the walk without
leaving a coroutine behind, and a changed message is passed to the next plugin.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, ParamSpec, TypeVar

from msgspec.structs import replace

from trichat import hookspecs
from trichat._base.errors import PluginError
from trichat._base.failures import described, pass_on
from trichat._base.messages import Refuse
from trichat._config.plugin_policy import Policy
from trichat._plugins.active_hooks import ActiveHooks
from trichat._plugins.commands import Command
from trichat._plugins.deadlines import Deadlines
from trichat._plugins.gates import Gates
from trichat._plugins.message_walk import AskMessage, AskPrivate, MessageWalk
from trichat._plugins.permissions import Asking, default_refusal
from trichat._plugins.plugin_calls import HookFailed, PluginCalls
from trichat._plugins.registry import Implementation, Registered, Registry

P = ParamSpec("P")
R = TypeVar("R")


class Plugins:
    """The registered plugins. `hook_timeout` is how many seconds a call may take, if no policy says otherwise.

    `on_silenced` is called with the name of a plugin that is told nothing any more, and why; `on_fatal` with why the
    server has to stop.
    """

    active_hooks_class: ClassVar[type[ActiveHooks]] = ActiveHooks
    """For the test kit, which puts a cancel scope around each call. Its other seams are `call_contributing`, for each
    lifespan, and `call_command`."""

    def __init__(
        self,
        hook_timeout: float,
        *,
        on_silenced: Callable[[str, str], None] = lambda _name, _why: None,
        on_fatal: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._timeout = hook_timeout
        self.active = self.active_hooks_class(on_silenced=on_silenced, on_fatal=on_fatal)
        """Which plugins are called."""
        self.deadlines = Deadlines()
        """The calls under way, each with a deadline."""
        self.gates = Gates(self.active, self.deadlines)
        """Where calls of a plugin wait while a new version takes its place."""
        self._calls = PluginCalls(self.active, self.gates)
        self.walk = MessageWalk(self.active, self.gates, self._calls)
        """The way of a message through the plugins."""
        self.ask_message: AskMessage = self.walk.ask
        """Asks about a message. A trace replaces this function, and the next one, while it runs."""
        self.ask_private: AskPrivate = self.walk.ask_private
        self.tell_batch = self.walk.tell_batch
        """Tells of a batch. As a method of this class it would cost a second call for each message."""

    def trace_by(self, ask: AskMessage | None, ask_private: AskPrivate | None) -> None:
        """Let these functions ask from now on, by the walks that tell of each step; `None` ends that."""
        self.ask_message = ask or self.walk.ask
        self.ask_private = ask_private or self.walk.ask_private

    def register(self, name: str, plugin: object, policy: Policy | None = None) -> None:
        """Add a plugin: a module or an instance. Raises `PluginError` if it is not built as a plugin has to be."""
        self.active.add(self._registered(name, plugin, policy or Policy()))

    def _registered(self, name: str, plugin: object, policy: Policy) -> Registered:
        timeout = self._timeout if policy.hook_timeout is None else policy.hook_timeout
        self.deadlines.allow(timeout)
        return Registered(name, plugin, policy.in_effect(), timeout)

    def with_another(self, name: str, plugin: object, policy: Policy | None = None) -> Registry:
        """Return a registry in which `plugin` replaces the one of this name. Raises `PluginError`.

        Without a policy, it has that of the other one. Nothing changes until `active` installs the registry.
        """
        registry = self.active.registry
        return registry.with_another(self._registered(name, plugin, policy or registry[name].policy))

    async def ask(self, hook: Callable[P, Awaitable[R]], *arguments: P.args, **_: P.kwargs) -> R | Refuse | None:
        """Ask one plugin after the other until one answers. A plugin that fails refuses.

        `arguments` are those of the hook, by position, here and below.
        """
        with self.deadlines.calls() as calls:
            for implementation in self.active.hooks[hook.__name__]:
                try:
                    answer = await self._calls.call(hook.__name__, implementation, arguments, calls)
                except HookFailed as failure:
                    if implementation.owner.policy.on_error == "skip":
                        continue
                    return Refuse(str(failure))
                if answer is not None:
                    return answer  # type: ignore[no-any-return]
        return None

    def refusal(self, client: Asking, action: str, room: str, what: str) -> Refuse | None:
        """Ask the plugins what a client may do. Return why it may not do this, or `None` if it may.

        Any plugin may refuse, also after one that permits it. Without an opinion, the default of the action decides;
        `what` names the action in its sentence. No call waits, so while a plugin is being replaced, its previous
        version answers.
        """
        hook = hookspecs.permits.__name__
        is_permitted = False
        for implementation in self.active.hooks[hook]:
            try:
                answer = self._calls.call_at_once(hook, implementation, (client, action, room))
            except HookFailed as failure:
                if implementation.owner.policy.on_error == "skip":
                    continue
                return Refuse(str(failure), "failed")
            if isinstance(answer, Refuse):
                # Most plugins give no code. Here a front can do with a more precise one.
                return replace(answer, code="not_permitted") if answer.code == "refused" else answer
            is_permitted = is_permitted or bool(answer)
        return None if is_permitted else default_refusal(client, action, room, what)

    async def tell(self, hook: Callable[P, Awaitable[None]], *arguments: P.args, **_: P.kwargs) -> list[str]:
        """Tell every plugin, and return what failed: a sentence for each plugin that did.

        Every plugin is called even if this is cancelled; then its first wait is cancelled.
        """
        with self.deadlines.calls() as calls:
            return await self._calls.tell(hook.__name__, iter(self.active.hooks[hook.__name__]), arguments, calls)

    def contributions(self, hook: Callable[P, R], *arguments: P.args, **_: P.kwargs) -> Iterator[tuple[str, R]]:
        """Yield what each plugin contributes, with its name, in the order of registration.

        Raises `PluginError` if one fails.
        """
        for implementation in self.active.hooks[hook.__name__]:
            yield implementation.plugin, self.call_contributing(hook.__name__, implementation, arguments)

    def contribution_of(
        self, registered: Registered, registry: Registry, hook: Callable[P, R], *arguments: P.args, **_: P.kwargs
    ) -> R | None:
        """Return what one plugin of `registry` contributes, or `None`. Raises `PluginError` if it fails."""
        for implementation in registry.hooks[hook.__name__]:
            if implementation.owner is registered:
                return self.call_contributing(hook.__name__, implementation, arguments)  # type: ignore[no-any-return]
        return None

    def call_command(self, plugin: str, command: Command, client: Any, arguments: str, room: str) -> Any:  # noqa: ARG002
        """Return what a command of `plugin` answers, or what to await. Raises what the command raises."""
        return command.run_in(client, arguments, room)

    def call_contributing(self, hook: str, implementation: Implementation, arguments: Sequence[Any]) -> Any:
        """Return what one plugin contributes. Raises `PluginError` if it fails."""
        try:
            return implementation.call(*arguments)
        except BaseException as error:
            pass_on(error)
            raise PluginError(f"plugin {implementation.plugin!r} failed in {hook}: {described(error)}") from error  # noqa: ASYNC104
