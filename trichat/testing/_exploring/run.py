"""One run of a scenario: played with a strike or a fault, stopped, and looked at from all sides."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import chdir, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import trio

from trichat._base.errors import StartError
from trichat._base.failures import leaves
from trichat._plugins.discovery import is_factory
from trichat.testing._chat import virtual_time
from trichat.testing._chat.chat import (
    Chat,
    Connect,
    Plugins,
    Tables,
    by_name,
    is_cancelled,
    make_chat,
    refuse_single,
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
"""Plays a dialogue with the chat that it is given; or takes nothing, and is any code on Trio."""

MakePlugins = Plugins | Callable[[], Plugins]
"""The plugins of a scenario: factories, or a function that makes them, because each run needs new ones."""

# Virtual seconds that a part may take to end after it was cancelled, unless somebody says otherwise.
ENDS_WITHIN = 6.0

# Steps without any time passing, after which a run counts as a livelock.
LIVELOCK_STEPS = 10_000

# Virtual seconds after which nothing of a disturbance is under way any more.
AFTERMATH = 60.0

# Virtual seconds in which somebody who comes then has been let in and heard, even if every hook runs into its deadline.
VISIT = 120.0


class Disturbance(Protocol):
    """What goes wrong in a run: a cancellation, a fault."""

    def __str__(self) -> str:
        """What to name it to play it again."""

    @property
    def happened(self) -> bool:
        """Whether it came to that."""

    def describe(self) -> str:
        """Say what happened where, in a sentence."""

    def excuses(self, failure: str) -> bool:
        """Whether a failure that was logged is no more than what went wrong on purpose."""


class Run:
    """What a run of a scenario has come to, for invariants to look at."""

    def __init__(
        self,
        folder: Path,
        probe: Probe,
        disturbance: Disturbance | None = None,
        before: "Run | None" = None,
        ends_within: float = ENDS_WITHIN,
    ) -> None:
        self.ends_within = ends_within
        """Virtual seconds that a part may take to end after it was cancelled; more where the server grants more."""
        self.folder = folder
        """Where the chat log is, and whatever else plugins wrote."""
        self.probe = probe
        self.disturbance = disturbance
        """What went wrong in it, on purpose; `None` in the first run, in which nothing does."""
        self.before = before
        """The first run."""
        self.chat: Chat | None = None
        """The chat, whose server has stopped by now, if it ever started; `None` for a scenario without one."""
        self.has_started = False
        """Whether its server came to take connections."""
        self.witness: Witness = Witness()
        """What the server said of its clients, and what it sent."""
        self.failures: list[str] = []
        """What the server logged as a failure of a plugin or of its own."""
        self.present: dict[Person, int] = {}
        """Who was there at the end of the scenario, and how many messages had been sent by then."""
        self.fates: dict[str, LineFates] = {}
        """What had become by then of the lines of those who were there, if they read what they are sent."""
        self.newcomer: list[str] = []
        """What somebody heard who came then, said a line and left; empty if nobody could come any more."""
        self.left_behind: list[str] = []
        """Tasks, threads and files that were still there afterwards, and coroutines that nobody awaited."""
        self.crashes: list[str] = []
        """Errors that came out of the server."""
        self.endless: list[str] = []
        """Tasks that waited or ran forever, and were forced to end."""

    @property
    def log(self) -> str:
        """What is in the chat log; empty if there is none."""
        if self.chat is None or self.chat.log_path is None:
            return ""
        path = self.folder / self.chat.log_path
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def disturbed(self) -> bool:
        """Whether something went wrong in it, on purpose."""
        return self.disturbance is not None and self.disturbance.happened

    @property
    def struck(self) -> Part | None:
        """The part that was cancelled."""
        return self.probe.struck


def takes_chat(scenario: Scenario) -> bool:
    """Whether a scenario is about a chat: it has a parameter for one."""
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
    """Play a scenario, and return `run`, filled. What the scenario raises comes out, unless it was disturbed.

    It is played in the folder of the run, so that what a plugin writes there goes with it.
    """
    _check(scenario)
    named = {**made(plugins), **(extra or {})}
    guard = LivelockGuard(run.endless, LIVELOCK_STEPS)
    with schedule(seed), failures_logged(run.failures), leftovers_noted(run.left_behind), chdir(run.folder):
        looking = [run.probe, *instruments]
        virtual_time.run(_play, scenario, run, named, config, transport, guard=guard, instruments=looking)
    return run


def _check(scenario: Scenario) -> None:
    """Raise what tells whoever mistook something, before Trio raises something else."""
    if trio.lowlevel.in_trio_run():
        raise RuntimeError("this runs Trio again and again itself: call it from a plain def, not from an async def")
    function = scenario.func if isinstance(scenario, partial) else scenario
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{scenario!r} is no scenario: a scenario is an async def")


def made(plugins: MakePlugins) -> dict[str, object]:
    """Return plugins for one run, by name. Raises `TypeError` for those that have been in use before."""
    refuse_single(plugins)  # a class can be called, and makes a plugin
    new = plugins if isinstance(plugins, (Mapping, Sequence)) or not callable(plugins) else plugins()
    named = by_name(new)
    for name, plugin in named.items():
        if isinstance(plugin, (str, Path)) and str(plugin).endswith(".py"):
            named[name] = Path(plugin).absolute()
        if new is plugins and not is_factory(plugin):
            raise TypeError(
                f"{plugin!r} would carry its state from one run into the next: give its class, or a function that "
                "makes the plugins anew"
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
        # The run is over: what came out of it is what is looked at.
        if not _is_a_result(error) or not (run.disturbed or run.endless):
            raise
        unforeseen = [leaf for leaf in leaves(error) if not isinstance(leaf, (StartError, Abandoned, trio.Cancelled))]
        # What raises when it is cancelled as a whole is looked at elsewhere; what raises because a part of it was, has
        # found something.
        is_whole = run.struck is not None and run.struck.label == "scenario"
        run.crashes += [repr(leaf) for leaf in unforeseen if not is_whole]
    finally:
        run.left_behind += [described(task) for task in all_tasks() if task not in before and is_of_run(task)]


def _is_a_result(error: BaseException) -> bool:
    """Whether an error is the run's, and not that of whoever pressed Ctrl-C."""
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
            # Whatever it expected, it expected of a chat in which nothing goes wrong.
            if not run.disturbed or not _is_a_result(error) or is_cancelled(error):
                raise
        # What was late, or had to time out, has come by then.
        await trio.sleep(AFTERMATH)
        await chat.settled()
        run.present = present(run)
        run.fates = {person.name: fates_of(person, run.witness.sent) for person in run.present if person.reads}
        await _visit(chat, run)


def present(run: Run) -> dict[Person, int]:
    """Return who is in the chat now, and how many messages have been sent by now."""
    assert run.chat is not None
    # Of two who gave one name, the one who came later has it: the other one's connection broke.
    latest = {person.chat_name: person for person in run.chat.people if person.chat_name}
    members = (latest.get(member.name) for member in run.chat.server.members())
    return {person: len(run.witness.sent) for person in members if person is not None}


async def _visit(chat: Chat, run: Run) -> None:
    # Whoever looks is not part of what is looked at.
    run.probe.is_looking = False
    with suppress(AssertionError, OSError):
        newcomer = chat.connect_silently(name="newcomer")
        run.newcomer = newcomer.heard
        await newcomer.say("newcomer", "is anybody here?")
        await trio.sleep(VISIT)
        newcomer.hang_up()
        await chat.settled()
    run.probe.is_looking = True
