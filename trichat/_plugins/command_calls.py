"""The slash commands of plugins, marked or contributed. Running one is a call of its plugin."""

import inspect
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from functools import partial, wraps
from itertools import chain
from typing import TYPE_CHECKING

from trichat import hookspecs
from trichat._base.failures import exceptions_only
from trichat._base.messages import Refuse
from trichat._plugins.commands import Command, marked_commands
from trichat._plugins.dispatch import Plugins
from trichat._plugins.plugin_calls import log_failure
from trichat._plugins.registry import Registered, Registry

if TYPE_CHECKING:
    from trichat._chat.client import Client


def commands_of_all(plugins: Plugins) -> Iterator[tuple[str, Iterable[Command]]]:
    """Yield the commands of each plugin, with its name. Raises `PluginError`."""
    registry = plugins.active.registry
    marked = ((each.name, marked_commands(each.plugin)) for each in registry)
    for name, found in chain(marked, plugins.contributions(hookspecs.commands)):
        yield name, _as_calls(found, registry[name], plugins)


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
    """Return the command with a `run` that is a call of its plugin, with a deadline like any other.

    All of its failures can be caught with `except Exception`.
    """
    what = f"/{command.name}"
    noting = partial(exceptions_only, partial(log_failure, owner.name, what))

    @wraps(command.run)
    def run(client: "Client", arguments: str) -> Awaitable[str | Refuse | None] | str | Refuse | None:
        if not owner.takes_calls:
            return run_by_successor(client, arguments)
        with noting():
            answer = plugins.call_command(owner.name, command, client, arguments)
        return wait_for(answer) if inspect.isawaitable(answer) else answer

    async def wait_for(answer: Awaitable[str | Refuse | None]) -> str | Refuse | None:
        with plugins.deadlines.suspended(), plugins.deadlines.calls() as calls, noting():
            return await calls.wait_for(answer, owner, what, takes_late=True)

    async def run_by_successor(client: "Client", arguments: str) -> str | Refuse | None:
        """Wait for the version that replaces the plugin, and run what it has under this name."""
        with plugins.deadlines.suspended():  # the code that holds the plugin's calls has a deadline
            await plugins.gates.wait(owner.name)
        found = client.server.commands.get(command.name)
        if found is None or found.refusal(client) is not None:
            return f"{what} is gone"
        answer = found.run(client, arguments)
        return await answer if inspect.isawaitable(answer) else answer

    return replace(command, run=run)
