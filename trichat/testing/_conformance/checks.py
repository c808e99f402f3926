"""The checks of a conformance run. Each tries one thing, returns what it tried, and raises what it found."""

import gc
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, chdir, suppress
from functools import partial
from pathlib import Path

import trio

from trichat._base.errors import TrichatError
from trichat._base.loop_observer import LONGEST
from trichat._chat.client import Client
from trichat._server import core_of
from trichat.hookspecs import hookimpl
from trichat.testing._chat import virtual_time
from trichat.testing._chat.chat import Chat, Tables, running
from trichat.testing._chat.scratch_folder import scratch
from trichat.testing._conformance.block_finder import BlockFinder
from trichat.testing._conformance.plugin_under_test import Subject
from trichat.testing._conformance.standard_dialogue import dialogue, enter, speak
from trichat.testing._exploring.player import Player
from trichat.testing._exploring.run import AFTERMATH, Run, Scenario, takes_chat
from trichat.testing._exploring.strategies import PartDisturbance, strike_everywhere
from trichat.testing._probing.cancel_targets import Part
from trichat.testing._probing.checkpoint_probe import Probe

# Lines that are sent at once, as by somebody who pastes them.
FLOOD = 1000

# A check stops after this many broken cases. More of them would say the same.
ENOUGH = 10

# The hooks in which another plugin fails.
HOOKS = ("on_connect", "on_join", "on_message", "on_broadcast", "on_disconnect", "history", "on_reload")


class NoSuchCase(TrichatError):
    """The plugin has no such case, so nothing was tried."""


def _player(subject: Subject, scenario: Scenario | None = None, tables: Tables | None = None) -> Player:
    """Return a player of a scenario, by default the dialogue. `tables` configures other plugins."""
    scenario = scenario or partial(dialogue, subject=subject)
    plugins = {**subject.config["plugins"], **(tables or {})}
    config = {**subject.config, "plugins": plugins} if takes_chat(scenario) else None
    return Player(
        lambda case: f"trichat check-plugin {subject.plugin} --only {case!r}",
        scenario,
        (lambda: subject.extra) if takes_chat(scenario) else (),
        config,
        [a_call_costs_its_own_line],
        only=subject.only,
    )


def a_call_costs_its_own_line(run: Run) -> None:
    """A cancelled call loses no more than its own line."""
    if run.before is None or run.struck is None:
        return
    kind, _, hook = run.struck.label.partition(" ")
    if (kind == "hook" and ".on_broadcast" not in hook) or kind == "client":
        fates = [(fate, run.before.fates[name]) for name, fate in run.fates.items() if name in run.before.fates]
        lost = [line for now, before in fates for line in now.lost(before)]
        assert len(lost) <= (kind == "hook"), f"these lines were not passed on after the cancellation: {lost}"


def _undisturbed(player: Player, subject: Subject, extra: Mapping[str, object] | None = None) -> Run:
    """Play the scenario once with nothing going wrong, and raise `AssertionError` if something does."""
    run = player.play(Probe(), extra=extra)
    player.survey.verdict()
    failures = [failure for failure in run.failures if f"plugin {subject.name!r}" in failure]
    assert not failures, "\n".join(dict.fromkeys(failures))
    return run


def loads(subject: Subject) -> str:
    async def start() -> list[str]:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                commands = [f"/{each.name}" for each in chat.server.commands.values() if each.plugin == subject.name]
                return [*core_of(chat.server).plugins.active.registry.hooks_of(subject.name), *commands]

    return ", ".join(virtual_time.run(start))


def ordinary_dialogue(subject: Subject) -> str:
    run = _undisturbed(_player(subject, partial(dialogue, subject=subject, odd=True)), subject)
    lines = sum(len(person.heard) for person in run.chat.people) if run.chat else 0
    return f"{len(subject.lines)} lines said, {lines} heard"


def cancelled(kind: str, subject: Subject) -> str:
    player = _player(subject)
    first = _undisturbed(player, subject)
    for part in _own_parts(first, kind, subject):
        if len(player.survey.broken) < ENOUGH:
            strike_everywhere(part.label, player)
    _see_case(player)
    player.survey.verdict()
    return _counted(player)


def _counted(player: Player) -> str:
    checkpoints = len(player.survey.cases) - 1
    return f"{checkpoints} checkpoints" if checkpoints else "it never waits there"


def _own_parts(run: Run, kind: str, subject: Subject) -> list[Part]:
    """Return the parts of a kind. Calls of hooks and lifespans are only those in which the plugin under test runs.

    A slash command runs in the `on_message` of whatever plugin handles the line.
    """
    if kind not in ("hook", "lifespan"):
        return [part for part in run.probe.parts if part.label.partition(" ")[0] == kind]
    own = (f"{kind} {subject.name}.", f"{kind} {subject.name} ")
    commands = run.chat.server.commands.values() if run.chat is not None else ()
    given = {f"/{command.name}" for command in commands if command.plugin == subject.name}
    return [
        part
        for part in run.probe.parts
        if f"{part.label} ".startswith(own) or (kind == "hook" and part.line.partition(" ")[0] in given)
    ]


def _see_case(player: Player) -> None:
    """Raise `NoSuchCase` if `only` named a case that this check does not have."""
    if player.only and not player.survey.happened:
        raise NoSuchCase(player.only)


class _HangUp(PartDisturbance):
    verb = "lost its client"
    excused = ()


def hang_up(subject: Subject) -> str:
    chats: list[Chat] = []

    async def scenario(chat: Chat) -> None:
        chats.append(chat)
        await dialogue(chat, subject)

    def reset_speaker(_: Part) -> None:
        # The hook call is about the line that was said last.
        if (speaker := chats[-1].dialogue.last_speaker) is not None:
            speaker.reset()

    player = _player(subject, scenario)
    first = _undisturbed(player, subject)
    for part in _own_parts(first, "hook", subject):
        if len(player.survey.broken) < ENOUGH:
            strike_everywhere(part.label, player, reset_speaker, _HangUp)
    _see_case(player)
    player.survey.verdict()
    return _counted(player)


class _Quiet:
    """A plugin that does nothing."""

    @hookimpl
    def on_reload(self) -> None:
        """Do nothing."""


class _Neighbour:
    """Another plugin, which fails in one hook."""

    def __init__(self, hook: str, *, hangs: bool, first: bool) -> None:
        self._text = f"a neighbour that {'hangs' if hangs else 'raises'} in {hook}, {'first' if first else 'last'}"
        self._hangs = hangs
        self.happened = False

        async def fail(_: object) -> None:
            self.happened = True
            if self._hangs:
                await trio.sleep_forever()
            raise RuntimeError("on purpose")

        fail.__name__ = hook
        self.plugin = type("Neighbour", (), {hook: hookimpl(tryfirst=first, trylast=not first)(fail)})()

    def __str__(self) -> str:
        return self._text

    def describe(self) -> str:
        return f"with {self._text}"

    def excuses(self, failure: str) -> bool:
        return "plugin 'neighbour'" in failure


def another_plugin(subject: Subject, *, hangs: bool) -> str:
    # Each line may run into the deadline, so a short one keeps the dialogue short. The neighbour is never quarantined.
    neighbours = {"neighbour": {"hook_timeout": 1.0, "quarantine_after": 0}}
    player = _player(subject, tables=neighbours)
    _undisturbed(player, subject, {"neighbour": _Quiet()})
    for hook in HOOKS:
        for first in (True, False):
            neighbour = _Neighbour(hook, hangs=hangs, first=first)
            if subject.only not in ("", str(neighbour)):
                continue
            player.play(Probe(), neighbour, extra={"neighbour": neighbour.plugin})
    _see_case(player)
    player.survey.verdict()
    return f"{len(HOOKS)} hooks, before and after it"


def slow_reader(subject: Subject) -> str:
    took: list[float] = []

    async def scenario(chat: Chat, *, reads: bool) -> None:
        alice, sloth = await enter(chat, "alice"), await enter(chat, "sloth")
        if not reads:
            sloth.stop_reading()
        before = trio.current_time()
        for number in range(100):
            await speak(chat, alice, f"{number} {'x' * 1000}")
        took.append(trio.current_time() - before)
        reached = sum(len(line) for line in alice.heard)
        slow = [member.name for member in chat.server.members() if member.name == "sloth"]
        assert reads or not slow or reached < 80_000, "the server did not disconnect the client that reads nothing"

    for reads in (True, False):
        _undisturbed(_player(subject, partial(scenario, reads=reads)), subject)
    late = took[1] - took[0]
    assert late <= 0.001, f"the other clients waited {late:g} s because one client reads nothing"
    return "100 lines of 1000 characters"


def flood(subject: Subject) -> str:
    async def scenario(chat: Chat) -> None:
        alice, bob = await enter(chat, "alice"), await enter(chat, "bob")
        lines = [subject.lines[number % len(subject.lines)] for number in range(FLOOD)]
        await speak(chat, alice, *(f"line {number}" for number in range(FLOOD)))
        await speak(chat, alice, *lines)
        await speak(chat, bob, "is anybody here?")

    _undisturbed(_player(subject, scenario), subject)
    return f"{FLOOD} lines at once, twice"


def reload(subject: Subject) -> str:
    async def scenario() -> None:
        with scratch() as folder, chdir(folder):
            for _ in range(2):
                async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                    await chat.server.reload()
                    await chat.replace(subject.name)
                    await dialogue(chat, subject)
                    with suppress(OSError):
                        await enter(chat, "carol")
                        await chat.server.reload()
                        await chat.replace(subject.name)

    _undisturbed(_player(subject, scenario), subject)
    return "reloads, replacements, and a restart in the same folder"


def two_servers(subject: Subject) -> str:
    heard: list[list[int]] = []

    async def play(*, servers: int) -> None:
        async with AsyncExitStack() as stack:
            # Imported once for all servers here, and new: earlier runs must not have used it.
            plugins = {subject.name: subject.load()} if subject.extra else {}
            chats: list[Chat] = []
            for _ in range(servers):
                folder = stack.enter_context(scratch())
                stack.enter_context(chdir(folder))
                chats.append(await stack.enter_async_context(running(plugins, subject.config, folder=Path(folder))))
            for chat in chats:
                await dialogue(chat, subject, at_once=False)
            heard.extend([len(person.heard) for person in chat.people] for chat in chats)

    async def one() -> None:
        await play(servers=1)

    async def two() -> None:
        await play(servers=2)

    for scenario in (one, two):
        _undisturbed(_player(subject, scenario), subject)
    alone, *both = heard
    for each in both:
        assert each == alone, (
            f"alice, bob and carol hear {alone} lines on a single server, but {each} if two run in one process; "
            "keep state in the plugin's instance, not in its module or class"
        )
    return "the same dialogue on both"


def keeps_nothing(subject: Subject) -> str:
    async def everybody_leaves() -> None:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                people = [await enter(chat, name) for name in ("alice", "bob")]
                for person in people:
                    await speak(chat, person, *subject.lines)
                    person.hang_up()
                await trio.sleep(AFTERMATH)
                await chat.settled()
                seen["everybody has left"] = _clients_since(before, subject)

    async def the_server_ends() -> None:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                await dialogue(chat, subject)

    before = _clients()  # kept, so that no later client can have the id of one of them
    seen: dict[str, str] = {}
    _undisturbed(_player(subject, everybody_leaves), subject)
    _undisturbed(_player(subject, the_server_ends), subject)
    seen["the server has ended"] = _clients_since(before, subject)
    for when, kept in seen.items():
        assert not kept, f"after {when}, {kept}; drop them in on_disconnect"
    return "all clients are forgotten"


def _clients_since(before: Sequence[Client], subject: Subject) -> str:
    """Return what still refers to clients that are not in `before`; empty if nothing does."""
    gc.collect()
    known = set(map(id, before))
    kept = [client for client in _clients() if id(client) not in known]
    clients = "1 client" if len(kept) == 1 else f"{len(kept)} clients"
    return f"{_holder(subject, kept)} still refers to {clients}" if kept else ""


def _clients() -> list[Client]:
    return [each for each in gc.get_objects() if type(each) is Client]


def _holder(subject: Subject, kept: list[Client]) -> str:
    module = subject.module
    for name, value in vars(module).items() if module else ():
        if any(client in gc.get_referents(value) for client in kept):
            return f"{name} of {subject.file}"
    return "something"


def does_not_block(subject: Subject) -> str:
    # A busy machine may delay any step once. If it happens twice, the plugin is the cause.
    for _ in range(2):
        finder = BlockFinder(subject.file)
        with finder.watching():
            player = _player(subject)
            player.play(Probe(), instruments=[finder])
        if not finder.blocks:
            return f"no step took longer than {LONGEST:g} s"
    raise AssertionError(
        f"it blocked the whole server for more than {LONGEST:g} s; move this to trio.to_thread.run_sync:\n"
        f"  {finder.blocks[0].place}"
    )
