"""One run of a scenario: it is played with a cancellation or a fault, and stopped, and its results are collected."""

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import chdir, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from trichat._base.errors import StartError
from trichat._base.failures import leaves
from trichat._chat.person import Presence
from trichat._plugins.discovery import is_factory, refuse_single
from trichat._server import core_of
from trichat.testing._chat import virtual_time
from trichat.testing._chat.chat import (
    Chat,
    Connect,
    Plugins,
    Tables,
    by_name,
    is_cancelled,
    make_chat,
    serving,
)
from trichat.testing._chat.memory_transport import MemoryTransport
from trichat.testing._chat.person import Person
from trichat.testing._chat.schedule import schedule
from trichat.testing._exploring.error_log import failures_logged
from trichat.testing._exploring.forced_end import force_end, is_of_run
from trichat.testing._exploring.leftovers import all_tasks, described, leftovers_noted
from trichat.testing._exploring.line_fates import LineFates, fates_of
from trichat.testing._exploring.recorder import Witness
from trichat.testing._probing.cancel_targets import Part
from trichat.testing._probing.checkpoint_probe import PROBE, Probe, part_of
from trichat.testing._probing.livelock_guard import Abandoned, LivelockGuard

Scenario = Callable[..., Awaitable[object]]
"""An `async def` that plays a dialogue in the `Chat` that it is given, or takes no argument and is any Trio code."""

MakePlugins = Plugins | Callable[[], Plugins]
"""The plugins of a scenario: factories, or a function that makes plugins. Each run needs new ones."""

# Virtual seconds that a part may take to end after it was cancelled, by default.
ENDS_WITHIN = 6.0

# A run that takes this many steps while no time passes is a livelock.
LIVELOCK_STEPS = 10_000

# Virtual seconds after which the effects of a disturbance are over.
AFTERMATH = 60.0

# Virtual seconds in which a newcomer can join and be heard, even if every hook runs into its deadline.
VISIT = 120.0


class Disturbance(Protocol):
    """What goes wrong in a run: a cancellation or a fault."""

    def __str__(self) -> str:
        """Return the name of the case, as `only` takes it."""

    @property
    def happened(self) -> bool:
        """Whether it did happen."""

    def describe(self) -> str:
        """Return a sentence that says what happened where."""

    def excuses(self, failure: str) -> bool:
        """Whether a logged failure is only what went wrong on purpose."""


class Run:
    """The results of one run of a scenario, for invariants to check."""

    def __init__(
        self,
        folder: Path,
        probe: Probe,
        disturbance: Disturbance | None = None,
        before: "Run | None" = None,
        ends_within: float = ENDS_WITHIN,
    ) -> None:
        self.ends_within = ends_within
        """Virtual seconds that a part may take to end after it was cancelled, unless the server grants it more."""
        self.folder = folder
        """The folder of the run, with the chat log and everything else that plugins wrote."""
        self.probe = probe
        self.disturbance = disturbance
        """What was to go wrong, on purpose; `None` in the first run, in which nothing does."""
        self.before = before
        """The first run; `None` in the first run itself."""
        self.chat: Chat | None = None
        """The chat, whose server has stopped by now; `None` for a scenario without a chat."""
        self.has_started = False
        """Whether its server ever accepted connections."""
        self.witness: Witness = Witness()
        """A plugin that recorded the clients and the messages that were sent."""
        self.failures: list[str] = []
        """What the server logged as errors: failures of plugins, and its own."""
        self.present: dict[Person, int] = {}
        """The people present at the end of the scenario, with the number of messages that had been sent by then."""
        self.holding: list[str] = []
        """Who held a name by then that is not the person's own."""
        self.fates: dict[str, LineFates] = {}
        """What had become of the lines of these people by then, by name. Those who do not read are left out."""
        self.newcomer: list[str] = []
        """What a newcomer heard, who then joined, said a line and left; empty if nobody could connect any more."""
        self.left_behind: list[str] = []
        """Tasks, threads and open files left afterwards, and coroutines that nobody awaited."""
        self.crashes: list[str] = []
        """Errors that the server raised."""
        self.endless: list[str] = []
        """Tasks that waited or ran forever, and were ended by force."""

    def take_stock(self) -> None:
        """Note who is present, and which names are kept for nobody. Call it when nothing is left to do."""
        assert self.chat is not None
        # If two people gave the same name, the later one has it: the connection of the earlier one broke.
        latest = {person.name: person for person in self.chat.people if person.name}
        in_rooms = (latest.get(client.name) for client in self.chat.server.clients if client.rooms)
        self.present = {person: len(self.witness.sent) for person in in_rooms if person is not None}
        names = Counter(each for each in core_of(self.chat.server).hub.anyone() if isinstance(each, Presence))
        self.holding = [
            f"{presence.name!r} holds {count} names" if presence.connections else f"{presence.name!r}, who has left"
            for presence, count in names.items()
            if count > 1 or not presence.connections
        ]

    @property
    def log(self) -> str:
        """The text of the chat log; empty if there is none."""
        if self.chat is None or self.chat.log_path is None:
            return ""
        path = self.folder / self.chat.log_path
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def disturbed(self) -> bool:
        """Whether the cancellation or fault did happen."""
        return self.disturbance is not None and self.disturbance.happened

    @property
    def struck(self) -> Part | None:
        """The part that was cancelled, if one was."""
        return self.probe.struck


def takes_chat(scenario: Scenario) -> bool:
    """Whether a scenario has a parameter for a chat."""
    return any(
        each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
        for each in inspect.signature(scenario).parameters.values()
    )


def play(
    scenario: Scenario,
    run: Run,
    *,
    plugins: MakePlugins = (),
    config: Tables | None = None,
    transport: Connect = MemoryTransport,
    extra: Mapping[str, object] | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
    seed: int = 0,
) -> Run:
    """Play a scenario, and return `run` with the results. Raises what the scenario raises, unless it was disturbed.

    The working directory is the folder of the run, so that files that a plugin writes there are removed with it.
    """
    _check(scenario)
    named = {**made(plugins), **(extra or {})}
    guard = LivelockGuard(run.endless, LIVELOCK_STEPS)
    with schedule(seed), failures_logged(run.failures), leftovers_noted(run.left_behind), chdir(run.folder):
        looking = [run.probe, *instruments]
        virtual_time.run(_play, scenario, run, named, config, transport, guard=guard, instruments=looking)
    return run


def _check(scenario: Scenario) -> None:
    """Refuse a wrong call with an error that says so, before Trio raises a less helpful one."""
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("this function runs Trio itself; call it from a plain def, not from an async def")
    function = scenario.func if isinstance(scenario, partial) else scenario
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{scenario!r} is not a scenario; a scenario is an async def")


def made(plugins: MakePlugins) -> dict[str, object]:
    """Return plugins for one run, by name. Raises `TypeError` for instances, which earlier runs have used."""
    refuse_single(plugins)  # a single class is callable, so it would pass for a function that makes plugins
    new = plugins if isinstance(plugins, (Mapping, Sequence)) or not callable(plugins) else plugins()
    named = by_name(new)
    for name, plugin in named.items():
        if isinstance(plugin, (str, Path)) and str(plugin).endswith(".py"):
            named[name] = Path(plugin).absolute()
        if new is plugins and not is_factory(plugin):
            raise TypeError(
                f"{plugin!r} would carry its state from one run into the next; give its class, or a function that "
                "makes new plugins"
            )
    return named


async def _play(
    scenario: Scenario, run: Run, plugins: dict[str, object], config: Tables | None, transport: Connect
) -> None:
    PROBE.set(run.probe)
    before = set(all_tasks())
    everything = trio.CancelScope()
    trio.lowlevel.spawn_system_task(force_end, run.endless, everything)
    try:
        with everything:
            if takes_chat(scenario):
                await _play_chat(scenario, run, plugins, config, transport)
            else:
                with part_of("scenario", "") as part:
                    await part.watching(scenario())
    except BaseException as error:  # noqa: ASYNC103 - the run is over
        if not _is_a_result(error) or not (run.disturbed or run.endless):
            raise
        unforeseen = [leaf for leaf in leaves(error) if not isinstance(leaf, (StartError, Abandoned, trio.Cancelled))]
        # A scenario that raises because a part of it was cancelled has found something. If it was cancelled as a whole,
        # `cancellation_passed` checks what it raises.
        is_whole = run.struck is not None and run.struck.label == "scenario"
        run.crashes += [repr(leaf) for leaf in unforeseen if not is_whole]
    finally:
        run.left_behind += [described(task) for task in all_tasks() if task not in before and is_of_run(task)]


def _is_a_result(error: BaseException) -> bool:
    """Whether an error is a result of the run, and not a Ctrl-C or an exit."""
    return not any(isinstance(leaf, (KeyboardInterrupt, SystemExit, GeneratorExit)) for leaf in leaves(error))


async def _play_chat(
    scenario: Scenario, run: Run, plugins: dict[str, object], config: Tables | None, transport: Connect
) -> None:
    everything = {**plugins, "trichat_testing": run.witness}
    chat = run.chat = make_chat(everything, config, run.folder, transport)
    async with serving(chat):
        run.has_started = True
        try:
            await scenario(chat)
        except BaseException as error:  # noqa: ASYNC103 - a cancellation is raised
            # The scenario's expectations only apply when nothing goes wrong.
            if not run.disturbed or not _is_a_result(error) or is_cancelled(error):
                raise
        # By then, late data has arrived and timeouts have passed.
        await trio.sleep(AFTERMATH)
        await chat.settled()
        run.take_stock()
        run.fates = {person.label: fates_of(person, run.witness.sent) for person in run.present if person.reads}
        await _visit(chat, run)


async def _visit(chat: Chat, run: Run) -> None:
    # The visit checks the run and is not a part of it.
    run.probe.is_looking = False
    with suppress(AssertionError, OSError):
        newcomer = chat.connect_silently(name="newcomer")
        run.newcomer = newcomer.heard
        await newcomer.say("newcomer", "is anybody here?")
        await trio.sleep(VISIT)
        newcomer.hang_up()
        await chat.settled()
    run.probe.is_looking = True
