"""One run of a scenario: played with a strike or a fault, stopped, and looked at from all sides."""

import gc
import inspect
import logging
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Protocol

import trio
from trio.lowlevel import Task

from trichat import hookspecs
from trichat._client import Client
from trichat._discovery import is_factory
from trichat._errors import StartError, leaves
from trichat._messages import Message
from trichat._tasks import tasks_below, waiting_at
from trichat.hookspecs import hookimpl
from trichat.testing import _clock
from trichat.testing._chat import Chat, Connect, Plugins, Tables, by_name, is_cancelled, make_chat, serving
from trichat.testing._parts import PROBE, Abandoned, Part, Probe, part_of
from trichat.testing._person import Person
from trichat.testing._pipe import MemoryTransport
from trichat.testing._schedule import schedule
from trichat.wires import LineWire

Scenario = Callable[..., Awaitable[object]]
"""Plays a dialogue with the chat that it is given; or takes nothing, and is any code on Trio."""

MakePlugins = Plugins | Callable[[], Plugins]
"""The plugins of a scenario: factories, or a function that makes them, because each run needs new ones."""

# In virtual time, so long that whatever has not ended by then never will.
FOR_EVER = 2 * 3600.0

# Virtual seconds that a part may take to end after it was cancelled, unless somebody says otherwise.
ENDS_WITHIN = 6.0

# What the cancellation says that ends a run by force.
ENDED = "trichat.testing: it would wait for ever"

# Virtual seconds after which nothing of a disturbance is under way any more.
AFTERMATH = 60.0

# Virtual seconds in which somebody who comes then has been let in and heard, even if every hook runs into its deadline.
VISIT = 120.0

_WIRE = LineWire(4096)


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


class Witness:
    """Sees, as a plugin, what the server says of its clients and what it sends. First where it asks, last where not."""

    # Called before all others in on_connect, and at the end in on_broadcast: what it has seen there was not held back.
    def __init__(self) -> None:
        self.connected: Counter[Client] = Counter()
        self.disconnected: Counter[Client] = Counter()
        self.sent: list[Message] = []

    @hookimpl(tryfirst=True)
    def on_connect(self, client: Client) -> None:
        """Count."""
        self.connected[client] += 1

    @hookimpl(trylast=True)
    def on_broadcast(self, messages: Sequence[Message]) -> None:
        """Note."""
        self.sent += messages

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        """Count."""
        self.disconnected[client] += 1


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
        self.witness = Witness()
        """What the server said of its clients, and what it sent."""
        self.failures: list[str] = []
        """What the server logged as a failure of a plugin or of its own."""
        self.present: dict[Person, int] = {}
        """Who was there at the end of the scenario, and how many messages had been sent by then."""
        self.unanswered: dict[str, int] = {}
        """How many lines of whom had no answer by then: neither heard by all nor refused nor anything else."""
        self.newcomer: list[str] = []
        """What somebody heard who came then, said a line and left; empty if nobody could come any more."""
        self.left_behind: list[str] = []
        """Tasks and files that were still there afterwards."""
        self.crashes: list[str] = []
        """Errors that came out of the server."""
        self.endless: list[str] = []
        """Tasks that waited for ever, and had to be ended by force."""

    @property
    def log(self) -> str:
        """What is in the chat log; empty if there is none."""
        path = self.chat.log_path if self.chat is not None else self.folder / "chat_log.txt"
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
    beside: Mapping[str, object] | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
    seed: int = 0,
) -> Run:
    """Play a scenario, and return `run`, filled. What the scenario raises comes out, unless it was disturbed.

    It is played in the folder of the run, so that what a plugin writes there goes with it.
    """
    files = _open_files()
    _check(scenario)
    named = {**made(plugins), **(beside or {})}
    with schedule(seed), failures_logged(run), chdir(run.folder):
        _clock.run(_play, scenario, run, named, config, transport, instruments=[run.probe, *instruments])
    left = _open_files() - files
    if left:
        gc.collect()
        left = _open_files() - files
    run.left_behind += [f"the file {file}" for file in left.elements()]
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
    if isinstance(plugins, (str, Path, ModuleType, type)):
        raise TypeError(f"{plugins!r} is one plugin: give a list of them")
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
    trio.lowlevel.spawn_system_task(_end_by_force, run, everything)
    try:
        with everything:
            if takes_chat(scenario):
                await _play_chat(scenario, run, plugins, config, transport)
            else:
                with part_of("scenario", "") as part:
                    await part.watching(scenario())
    except BaseException as error:  # noqa: ASYNC103 - the run is over
        # The run is over: what came out of it is what is looked at.
        if not _is_a_result(error) or not (run.disturbed or run.endless or run.probe.endless):
            raise
        unforeseen = [leaf for leaf in leaves(error) if not isinstance(leaf, (StartError, Abandoned, trio.Cancelled))]
        # What raises when it is cancelled as a whole is looked at elsewhere; what raises because a part of it was, has
        # found something.
        is_whole = run.struck is not None and run.struck.label == "scenario"
        run.crashes += [repr(leaf) for leaf in unforeseen if not is_whole]
    finally:
        run.left_behind += [described(task) for task in all_tasks() if task not in before and _is_of_run(task)]


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
        run.unanswered = unanswered(run)
        await _visit(chat, run)


def present(run: Run) -> dict[Person, int]:
    """Return who is in the chat now, and how many messages have been sent by now."""
    assert run.chat is not None
    # Of two who gave one name, the one who came later has it: the other one's connection broke.
    latest = {person.chat_name: person for person in run.chat.people if person.chat_name}
    members = (latest.get(member.name) for member in run.chat.server.members())
    return {person: len(run.witness.sent) for person in members if person is not None}


def unanswered(run: Run) -> dict[str, int]:
    """Return how many lines of those who are there were neither heard by all nor answered."""
    told = {as_heard(message) for message in run.witness.sent}
    found: dict[str, int] = {}
    for person in run.present:
        if person.reads:
            welcome = next(i for i, line in enumerate(person.heard) if line.startswith("* welcome, "))
            own = f"{person.chat_name}: "
            heard = person.heard[welcome + 1 :]
            answers = sum(line.startswith(own) if line in told else _answers(line) for line in heard)
            if person.said_since_welcome > answers:
                found[person.name] = person.said_since_welcome - answers
    return found


def _answers(line: str) -> int:
    """How many lines this answers, if it is for one person alone."""
    many = re.match(r"\* (\d+) messages were not sent", line)
    return int(many[1]) if many else line.startswith("* ")


def as_heard(message: Message) -> str:
    """Return a message as people see it live."""
    return _WIRE.encode([message]).decode().rstrip("\n")


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


async def _end_by_force(run: Run, everything: trio.CancelScope) -> None:
    """When nothing else happens any more, note who still waits, and end it: it would do so for ever."""
    await trio.sleep(FOR_EVER)
    root = trio.lowlevel.current_root_task()
    assert root is not None
    stuck = [task for task in tasks_below(root) if _is_leaf(task) and _is_of_run(task)]
    # The server's own tasks wait for whoever it is.
    culprits = [task for task in stuck if not _is_at_server_code(task)]
    run.endless += [described(task) for task in culprits or stuck]
    everything.cancel(ENDED)
    for _ in range(100):
        # What holds a cancellation off is a shield: without one, everything that waits ends.
        for scope in gc.get_objects():
            if type(scope) is trio.CancelScope and scope.shield:
                scope.shield = False
        for task in tasks_below(root):
            for nursery in task.child_nurseries:
                if _is_of_run(task):
                    nursery.cancel_scope.cancel(ENDED)
        await _clock.idle()


def _is_leaf(task: Task) -> bool:
    return not any(nursery.child_tasks for nursery in task.child_nurseries)


def _is_at_server_code(task: Task) -> bool:
    """Whether what a task waits for is written in the server itself."""
    own = [frame.f_code.co_filename for frame, _ in task.iter_await_frames()]
    outside_trio = [file for file in own if not file.startswith((str(Path(trio.__file__).parent), "<"))]
    return bool(outside_trio) and Path(outside_trio[-1]).parent == Path(hookspecs.__file__).parent


def _is_of_run(task: Task) -> bool:
    """Whether a task is neither Trio's own nor the one that ends by force."""
    return not task.name.startswith(("trio._", "<", f"{_end_by_force.__module__}.{_end_by_force.__name__}"))


def described(task: Task) -> str:
    """Return what to call a task that should not be there."""
    place = waiting_at(task)
    return f"the task {task.name}{f' at {place}' if place else ''}"


def all_tasks() -> Iterator[Task]:
    """Yield all tasks that there are."""
    root = trio.lowlevel.current_root_task()
    return iter(()) if root is None else tasks_below(root)


def _open_files() -> Counter[str]:
    """What this process has open, by name; nothing where the system does not tell."""
    found: Counter[str] = Counter()
    with suppress(OSError):
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                found[os.readlink(f"/proc/self/fd/{fd}").partition(":[")[0]] += 1
    return found


@contextmanager
def failures_logged(run: Run) -> Iterator[None]:
    """Note what the server logs as errors, and keep it from the terminal: there will be hundreds of runs."""
    handler = _Failures(run)
    logger = logging.getLogger("trichat")
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class _Failures(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__(logging.ERROR)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        self._run.failures.append(record.getMessage())
