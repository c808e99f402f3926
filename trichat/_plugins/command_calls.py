"""The slash commands of plugins, marked or contributed. Running one is a call of its plugin."""

import inspect
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from trichat import hookspecs
from trichat._base.failures import exceptions_only
from trichat._base.messages import Refuse
from trichat._plugins.commands import Answered, Command, Room, TakesRoom, marked_commands
from trichat._plugins.dispatch import Plugins
from trichat._plugins.plugin_calls import log_failure
from trichat._plugins.registry import Registered, Registry
from trichat._plugins.secrecy import secretly

if TYPE_CHECKING:
    from trichat._chat.client import Client


def commands_of_all(plugins: Plugins) -> Iterator[tuple[str, Iterable[Command]]]:
    """Yield the commands of each plugin, with its name. Raises `PluginError`."""
    registry = plugins.active.registry
    yield from marked_commands_of_all(plugins)
    for name, found in plugins.contributions(hookspecs.commands):
        yield name, _as_calls(found, registry[name], plugins)


def marked_commands_of_all(plugins: Plugins) -> Iterator[tuple[str, Iterable[Command]]]:
    """Yield the commands of each plugin that are marked functions, with its name. Raises `PluginError`."""
    for each in plugins.active.registry:
        yield each.name, _as_calls(marked_commands(each.plugin), each, plugins)


def commands_of(registered: Registered, registry: Registry, plugins: Plugins) -> Iterable[Command]:
    """Return the commands of one plugin of `registry`. Raises `PluginError`."""
    contributed = plugins.contribution_of(registered, registry, hookspecs.commands) or ()
    return _as_calls(chain(marked_commands(registered.plugin), contributed), registered, plugins)


def _as_calls(found: Iterable[Command], owner: Registered, plugins: Plugins) -> Iterator[Command]:
    # A plugin in shadow has no commands: people who give one would wait for its effect.
    if not owner.policy.shadow:
        for command in found:
            # Anything that is not a command is reported where the table is built.
            yield _as_call(command, owner, plugins) if isinstance(command, Command) else command


def _as_call(command: Command, owner: Registered, plugins: Plugins) -> Command:
    if command.secret:
        command = replace(command, run=_SecretRun(command))
    return replace(command, run=_Call(command, owner, plugins))


class _SecretRun(TakesRoom):
    """Runs a command whose arguments are secret."""

    def __init__(self, command: Command) -> None:
        self.__wrapped__ = command.run
        self._command = command
        self._what = f"/{command.name}"

    def run_in(self, client: "Client", arguments: str, room: Room) -> Answered:
        with secretly(self._what):
            answer = self._command.run_in(client, arguments, room)
        return self._wait_for(answer) if inspect.isawaitable(answer) else answer

    async def _wait_for(self, answer: Awaitable[str | Refuse | None]) -> str | Refuse | None:
        with secretly(self._what):
            return await answer


class _Call(TakesRoom):
    """Runs a command as a call of its plugin, with a deadline like any other.

    All of its failures can be caught with `except Exception`.
    """

    def __init__(self, command: Command, owner: Registered, plugins: Plugins) -> None:
        self.__wrapped__ = command.run
        self._command = command
        self._owner = owner
        self._plugins = plugins
        self._what = f"/{command.name}"
        self._noting = partial(exceptions_only, partial(log_failure, owner.name, self._what))

    def run_in(self, client: "Client", arguments: str, room: Room) -> Answered:
        if not self._owner.takes_calls:
            return self._run_by_successor(client, arguments, room)
        with self._noting():
            answer = self._plugins.call_command(self._owner.name, self._command, client, arguments, room)
        return self._wait_for(answer) if inspect.isawaitable(answer) else answer

    async def _wait_for(self, answer: Awaitable[str | Refuse | None]) -> str | Refuse | None:
        deadlines = self._plugins.deadlines
        with deadlines.suspended(), deadlines.calls() as calls, self._noting():
            return await calls.wait_for(answer, self._owner, self._what, takes_late=True)

    async def _run_by_successor(self, client: "Client", arguments: str, room: Room) -> str | Refuse | None:
        """Wait for the version that replaces the plugin, and run what it has under this name."""
        with self._plugins.deadlines.suspended():  # the code that holds the plugin's calls has a deadline
            await self._plugins.gates.wait(self._owner.name)
        found = client.server.commands.get(self._command.name)
        if found is None or found.refusal(client, room) is not None:
            return f"{self._what} is gone"
        answer = found.run_in(client, arguments, room)
        return await answer if inspect.isawaitable(answer) else answer
