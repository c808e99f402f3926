"""Measure the overhead of asking three plugins about a message, with and without a trace.

Run it with `.venv/bin/python benchmarks/hook_calls.py`. The rows take turns, so that other work on the machine affects
all of them, and the best turn of each counts. It only measures: the exit status is always 0.
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import trio

from trichat import Message, hookimpl
from trichat._plugins.dispatch import Plugins
from trichat._plugins.tracing import Tracer

PLUGINS = 3
CALLS = 2_000
TURNS = 60

HELLO = Message("hello", "alice")
GOAL = 4.0  # microseconds, deadlines included

Ask = Callable[[object, Message], object | Awaitable[object]]
"""Asks about a message, and returns the answer or what to await for it."""


class Plain:
    """A typical plugin: a plain function that has no answer to most messages."""

    @hookimpl
    def on_message(self, message: Message) -> None:
        """Pass it."""


class Awaited:
    """A plugin that is awaited, so that each call has a deadline."""

    @hookimpl
    async def on_message(self, message: Message) -> None:
        """Pass it."""


class Row(NamedTuple):
    """A way to ask, and the time of a call in each of its turns, in microseconds."""

    what: str
    ask: Ask
    turns: list[float]

    async def turn(self) -> None:
        """Ask many times."""
        ask = self.ask
        begun = time.perf_counter_ns()
        for _ in range(CALLS):
            answer = ask(None, HELLO)
            if answer is not HELLO and inspect.isawaitable(answer):
                await answer
        self.turns.append((time.perf_counter_ns() - begun) / CALLS / 1000)


def registered(plugin: type) -> Plugins:
    """Return a dispatch with three of these plugins."""
    plugins = Plugins(hook_timeout=5)
    for number in range(PLUGINS):
        plugins.register(f"plugin{number}", plugin())
    return plugins


def alone(plugin: type) -> Ask:
    """Return a way to ask that does nothing but the plugins' own work."""
    functions = [plugin().on_message for _ in range(PLUGINS)]

    async def ask(_: object, message: Message) -> None:
        for function in functions:
            answer = function(message)
            if answer is not None:
                await answer

    return ask


async def take_turns(rows: Sequence[Row]) -> None:
    """Let all rows take their turns, one after the other."""
    for _ in range(TURNS):
        for row in rows:
            await row.turn()
            await trio.lowlevel.checkpoint()


async def measure(what: str, plugin: type) -> None:
    """Compare the ways to ask plugins of one kind, and print a table."""
    async with trio.open_nursery() as nursery:
        with ExitStack() as stack:

            def asking(plugins: Plugins) -> Ask:
                nursery.start_soon(plugins.deadlines.watch)
                calls = stack.enter_context(plugins.deadlines.calls())
                return lambda client, message: plugins.ask_message(client, message, calls)

            watched = registered(plugin)
            stack.enter_context(
                Tracer(watched).watching()
            )  # its queue fills up soon, but skipped messages cost as much
            rows = [
                Row("the plugins' own work", alone(plugin), []),
                Row("asking them, nobody watches", asking(registered(plugin)), []),
                Row("asking them, somebody watches", asking(watched), []),
            ]
            await take_turns(rows)
        nursery.cancel_scope.cancel()
    own = min(rows[0].turns)
    print(f"{PLUGINS} plugins, {what}")
    for row in rows:
        best = min(row.turns)
        print(f"  {row.what:<42} {best:6.2f} µs   overhead {best - own:6.2f} µs")
    print(f"  {'goal, deadlines included':<42} {'':6}           < {GOAL:6.2f} µs", flush=True)


async def main() -> None:
    """Measure plugins that are plain functions, and plugins that are awaited."""
    await measure("plain functions", Plain)
    await measure("awaited, each with its deadline", Awaited)


if __name__ == "__main__":
    trio.run(main)
