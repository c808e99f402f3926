"""The requests of the control socket that plugins answer. Each one calls its plugin, with a deadline."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import trio

from trichat import hookspecs
from trichat._base.errors import PluginError
from trichat._base.failures import Misbehaved, described
from trichat._base.messages import Refuse
from trichat._chat.core import Core
from trichat._plugins.commands import NAME
from trichat._plugins.plugin_calls import failure_logged, log_failure
from trichat._plugins.registry import Implementation, Registered

HOOK = hookspecs.control_requests.__name__


class _Request(NamedTuple):
    owner: Registered
    answer: hookspecs.ControlRequest


class PluginRequests:
    """The requests of the plugins of one server. No request may have a `reserved` name.

    Raises `PluginError` if a request has a reserved name, if two plugins have the same request, or if a plugin
    contributes something other than requests.
    """

    def __init__(self, core: Core, reserved: Collection[str]) -> None:
        self._core = core
        self._reserved = reserved
        self._requests(at_start=True)

    def verbs(self) -> list[str]:
        """Return the names of the current requests."""
        return sorted(self._requests())

    async def answer(self, verb: str, words: Sequence[str]) -> str | Refuse | None:
        """Have the plugin that contributed this request answer it; `None` if there is no such request.

        If the plugin fails, the log names it, and the request is refused.
        """
        request = self._requests().get(verb)
        gates = self._core.plugins.gates
        while request is not None and not request.owner.takes_calls:
            await gates.wait(request.owner.name)  # until the new version has replaced this plugin
            request = self._requests().get(verb)
        return None if request is None else await self._call_while_it_runs(request, verb, words)

    async def _call_while_it_runs(self, request: _Request, verb: str, words: Sequence[str]) -> str | Refuse:
        if not self._core.takes_clients:
            return Refuse("the server is still starting, or is stopping; ask again when it is running")
        # A stop leaves the plugin's lifespan. The plugin may need something from it for the answer.
        answer: str | Refuse = Refuse("the server is stopping")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at, self._core.shutdown.requested, nursery.cancel_scope)
            answer = await self._call(request, verb, words)
            nursery.cancel_scope.cancel()
        return answer

    async def _call(self, request: _Request, verb: str, words: Sequence[str]) -> str | Refuse:
        name, what = request.owner.name, f"the request {verb!r}"
        with self._core.plugins.deadlines.calls() as calls, failure_logged(name, what):
            answer = request.answer(words)
            if inspect.isawaitable(answer):
                answer = await calls.wait_for(answer, request.owner, what)
            if not isinstance(answer, (str, Refuse)):
                raise Misbehaved(f"{described(answer)} is not an answer to a request; return a string or Refuse")
            return answer
        return Refuse(f"the plugin {name!r} failed")

    def _requests(self, *, at_start: bool = False) -> Mapping[str, _Request]:
        """Collect the requests again, because a plugin may have been replaced, or have crashed.

        A fault at the start keeps the server from starting. Later it costs only its plugin's own requests.
        """
        requests: dict[str, _Request] = {}
        for implementation in self._core.plugins.active.hooks[HOOK]:
            try:
                requests.update(self._requests_of(implementation, requests))
            except PluginError as error:
                if at_start:
                    raise
                log_failure(implementation.plugin, HOOK, error)
        return requests

    def _requests_of(self, implementation: Implementation, others: Mapping[str, _Request]) -> dict[str, _Request]:
        owner, name = implementation.owner, implementation.plugin
        contribution = self._core.plugins.call_contributing(HOOK, implementation, (self._core.server,))
        # A plugin in shadow has no requests, as it has no slash commands: people would expect an effect.
        if owner.policy.shadow:
            return {}
        requests: dict[str, _Request] = {}
        for verb, answer in _checked(name, contribution):
            if verb in self._reserved:
                raise PluginError(f"plugin {name!r} has the request {verb!r}, which is built in; rename it")
            if verb in others:
                other = others[verb].owner.name
                raise PluginError(f"plugins {other!r} and {name!r} both have the request {verb!r}; turn one off")
            requests[verb] = _Request(owner, answer)
        return requests


async def _cancel_at(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel("the server is stopping")


def _checked(plugin: str, contribution: object) -> Collection[tuple[str, hookspecs.ControlRequest]]:
    """Return the requests that a plugin contributes. Raises `PluginError`."""
    if contribution is None:
        return ()
    if not isinstance(contribution, Mapping):
        raise PluginError(
            f"plugin {plugin!r} contributes {described(contribution)}, not a mapping of request names to functions"
        )
    for verb, answer in contribution.items():
        if not isinstance(verb, str) or not NAME.fullmatch(verb) or not callable(answer):
            raise PluginError(
                f"plugin {plugin!r} contributes {described(verb)}: {described(answer)}; a request needs a name like "
                "'backup' and a function"
            )
    return contribution.items()
