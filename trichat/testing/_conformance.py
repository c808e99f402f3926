"""The conformance run: everything that a plugin has to survive in production, tried on one plugin."""

import ast
import gc
import inspect
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, chdir, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import trio

from trichat._choices import choose_plugins
from trichat._client import Client
from trichat._config import Config
from trichat._discovery import Factory, find_plugins, name_of
from trichat._errors import ConfigError, TrichatError, leaves
from trichat.hookspecs import hookimpl
from trichat.testing import _clock
from trichat.testing._blocking import BlockFinder
from trichat.testing._chat import Chat, Tables, running
from trichat.testing._everywhere import Player, Struck, strike_everywhere
from trichat.testing._folder import scratch
from trichat.testing._parts import Part, Probe
from trichat.testing._person import Person
from trichat.testing._run import Run

# Words out of a plugin's own source that are tried as lines, because they may be what it waits for.
OWN_WORDS = 12
LONGEST_WORD = 30

# Lines that are sent at once, by somebody who pastes.
FLOOD = 1000

# The hooks in which a neighbour fails.
HOOKS = ("on_connect", "on_join", "on_message", "on_broadcast", "on_disconnect", "history", "on_reload")

# Said last: they end the dialogue.
_LAST_WORDS = ("bye", "stop", "/bye", "/stop")

_ORDINARY = (
    "hello",
    "how are you?",
    "/help",
    "/no-such-command",
    "/ is no command",
    "ünïcödé ✓ 漢字",
    " space",
    "x" * 500,
)


class Subject:
    """The plugin that is tried. Raises `TrichatError` if it cannot even be found."""

    def __init__(self, plugin: str, config: Config | None = None, say: Sequence[str] = (), only: str = "") -> None:
        """`plugin` is what `--plugin` takes, or the name of an installed one; `config` has its options.

        `say` are lines to try besides the usual ones and those that its source suggests; `only` is the one case to play
        of checks that have many.
        """
        self.only = only
        self.plugin = plugin
        self.name, self.extra = _find(plugin)
        table = dict((config or Config()).plugins.get(self.name, {}))
        if table.get("enabled") is False:
            raise ConfigError([f"{config.source if config else ''}: the plugin {self.name!r} is turned off"])
        if self.name == "chat_log":
            table.pop("path", None)  # what is said here is for no log that somebody keeps
        self.config: Tables = {
            "server": {"backlog_bytes": 8192},
            "plugins": {self.name: (config or Config()).plugins.get(self.name, {})},
        }
        factory = _factory(self)
        self.file = inspect.getsourcefile(factory) or ""
        words = [*_own_words(Path(self.file)), *say]
        self.lines = [*_ORDINARY, *(word for word in words if word not in _LAST_WORDS)]
        self.last_words = [word for word in words if word in _LAST_WORDS]

    @property
    def module(self) -> ModuleType | None:
        """The module that it is from."""
        found = (m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == self.file)
        return next(found, None)


def _find(plugin: str) -> tuple[str, dict[str, object]]:
    if plugin in {found.name for found in find_plugins()}:
        return plugin, {}
    if plugin.endswith(".py"):
        plugin = str(Path(plugin).absolute())
    return name_of(plugin), {name_of(plugin): plugin}


def _factory(subject: Subject) -> Factory:
    faults: list[str] = []
    config = Config.from_tables(subject.config)
    choices = choose_plugins(config, subject.extra, faults)
    if faults:
        raise ConfigError(faults)
    return next(choice.factory for choice in choices if choice.name == subject.name)


def _own_words(file: Path) -> Iterator[str]:
    """Yield words that a plugin compares with, or may do: short strings in its source."""
    with suppress(OSError, SyntaxError):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found = (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        usable = (word for word in found if word.strip() and word.isprintable() and len(word) <= LONGEST_WORD)
        yield from list(dict.fromkeys(usable))[:OWN_WORDS]


class Result(NamedTuple):
    """How a check ended."""

    check: str
    failure: str
    """Empty if it passed."""
    remark: str
    """What was tried."""


class Check(NamedTuple):
    """One row of the table."""

    name: str
    run: Callable[[Subject], str]
    """Returns what was tried; raises `AssertionError` or `TrichatError`."""
    has_cases: bool = False
    """Whether `only` can choose among them."""


class NoSuchCase(TrichatError):
    """There is no such case among those of a plugin; nothing was tried."""


def check_plugin(subject: Subject) -> Iterator[Result]:
    """Try everything, and yield each result as soon as it is there. If the plugin cannot be used, that ends it.

    What its dialogues write goes to folders of their own, unless the plugin was told another place by its options.
    Raises `NoSuchCase`.
    """
    if subject.only:
        yield from _the_one_case(subject)
        return
    for check in CHECKS:
        result = _try(check, subject)
        yield result
        if result.failure and check is CHECKS[0]:
            return


def _the_one_case(subject: Subject) -> Iterator[Result]:
    found = False
    for check in [check for check in CHECKS if check.has_cases]:
        with suppress(NoSuchCase):
            yield _try(check, subject)
            found = True
    if not found:
        raise NoSuchCase(f"{subject.only!r} is no case of the plugin {subject.name!r}, or never came about")


def _try(check: Check, subject: Subject) -> Result:
    logger = logging.getLogger("trichat")
    propagate, logger.propagate = logger.propagate, False
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        return Result(check.name, "", check.run(subject))
    except NoSuchCase:
        raise
    except (AssertionError, TrichatError) as error:
        return Result(check.name, str(error) or repr(error), "")
    except BaseExceptionGroup as group:
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves(group)):
            raise KeyboardInterrupt from None
        return Result(check.name, "\n".join(map(repr, group.exceptions)), "")
    except Exception as error:
        return Result(check.name, f"{type(error).__name__}: {error}", "")
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


# The dialogue in which everything happens


async def dialogue(chat: Chat, subject: Subject) -> None:
    """Two people meet, say all there is to say, and part. It expects nothing: what has to hold are the invariants."""
    alice = await _enter(chat, "alice")
    bob = await _enter(chat, "bob")
    for line in (*subject.lines, *_commands(chat)):
        await _say(chat, alice, line)
    await _say(chat, bob, "hello, alice")
    await chat.server.reload()
    bob.hang_up()
    await chat.settled()
    for line in subject.last_words:
        await _say(chat, alice, line)
    await _say(chat, alice, "bye")


async def _enter(chat: Chat, name: str) -> Person:
    person = chat.connect_silently(name=name)
    await _say(chat, person, name)
    return person


async def _say(chat: Chat, person: Person, *lines: str) -> None:
    with suppress(AssertionError):  # a plugin may well have thrown somebody out
        await person.say(*lines)
    await chat.settled()


def _commands(chat: Chat) -> Iterator[str]:
    for name in chat.server.commands:
        if name not in ("stop", "bye"):
            yield from (f"/{name}", f"/{name} bob", f"/{name} 1 2 3")


def _player(subject: Subject, **server: object) -> Player:
    scenario = partial(dialogue, subject=subject)
    config = {**subject.config, "server": {**subject.config["server"], **server}}
    return Player(_alone(subject), scenario, lambda: subject.extra, config, only=subject.only)


def _alone(subject: Subject) -> Callable[[str], str]:
    return lambda case: f"trichat check-plugin {subject.plugin} --only {case!r}"


# The checks


def _loads(subject: Subject) -> str:
    async def start() -> list[str]:
        with scratch() as folder, chdir(folder):
            async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                return chat.server._plugins.hooks_of(subject.name)

    return ", ".join(_clock.run(start))


def _dialogue(subject: Subject) -> str:
    player = _player(subject)
    run = player.play(Probe())
    player.survey.verdict()
    _own_failures(run, subject)
    lines = sum(len(person.heard) for person in run.chat.people) if run.chat else 0
    return f"{len(subject.lines)} lines said, {lines} heard"


def _own_failures(run: Run, subject: Subject) -> None:
    failures = [failure for failure in run.failures if f"plugin {subject.name!r}" in failure]
    assert not failures, "\n".join(failures)


def _cancelled(kind: str, subject: Subject) -> str:
    player = _player(subject)
    first = player.play(Probe())
    for part in first.probe.parts:
        if part.label.partition(" ")[0] == kind:
            strike_everywhere(part.label, player)
    _see_case(player)
    player.survey.verdict()
    return f"{len(player.survey.cases) - 1} checkpoints"


def _see_case(player: Player) -> None:
    """Raise `NoSuchCase` if the one case that was asked for is not among those of this check."""
    if player.only and not player.survey.happened:
        raise NoSuchCase(player.only)


class _HangUp(Struck):
    verb = "was left by its client"
    excused = ()


def _hang_up(subject: Subject) -> str:
    chats: list[Chat] = []

    async def scenario(chat: Chat) -> None:
        chats.append(chat)
        await dialogue(chat, subject)

    def reset_speaker(_: Part) -> None:
        # What is going on is about what was said last.
        if (speaker := chats[-1].dialogue.last_speaker) is not None:
            speaker.reset()

    player = Player(_alone(subject), scenario, lambda: subject.extra, subject.config, only=subject.only)
    first = player.play(Probe())
    for part in first.probe.parts:
        if part.label.startswith("hook "):
            strike_everywhere(part.label, player, reset_speaker, _HangUp)
    _see_case(player)
    player.survey.verdict()
    return f"{len(player.survey.cases) - 1} checkpoints"


class _Neighbour:
    """A plugin that fails in one hook, as a disturbance of others."""

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
        return f"beside {self._text}"

    def excuses(self, failure: str) -> bool:
        return "plugin 'neighbour'" in failure


def _beside(subject: Subject, *, hangs: bool) -> str:
    # Each line may run into the deadline: with the usual one, the end would be far away.
    player = _player(subject, hook_timeout=1.0)
    player.play(Probe())
    for hook in HOOKS:
        for first in (True, False):
            neighbour = _Neighbour(hook, hangs=hangs, first=first)
            if subject.only not in ("", str(neighbour)):
                continue
            player.play(Probe(), neighbour, beside={"neighbour": neighbour.plugin})
    _see_case(player)
    player.survey.verdict()
    return f"{len(HOOKS)} hooks, before and after it"


def _slow_reader(subject: Subject) -> str:
    took: list[float] = []

    async def scenario(chat: Chat, *, reads: bool) -> None:
        alice, sloth = await _enter(chat, "alice"), await _enter(chat, "sloth")
        if not reads:
            sloth.stop_reading()
        before = trio.current_time()
        for number in range(100):
            await _say(chat, alice, f"{number} {'x' * 1000}")
        took.append(trio.current_time() - before)
        reached = sum(len(line) for line in alice.heard)
        slow = [member.name for member in chat.server.members() if member.name == "sloth"]
        assert reads or not slow or reached < 80_000, "who does not read was not disconnected"

    for reads in (True, False):
        player = Player(_alone(subject), partial(scenario, reads=reads), lambda: subject.extra, subject.config)
        _own_failures(player.play(Probe()), subject)
        player.survey.verdict()
    late = took[1] - took[0]
    assert late <= 0.001, f"the others waited for {late:g} s because of one who does not read"
    return "100 lines of 1000 characters"


def _flood(subject: Subject) -> str:
    async def scenario(chat: Chat) -> None:
        alice, bob = await _enter(chat, "alice"), await _enter(chat, "bob")
        lines = [subject.lines[number % len(subject.lines)] for number in range(FLOOD)]
        await _say(chat, alice, *lines)
        await _say(chat, bob, "is anybody here?")

    player = Player(_alone(subject), scenario, lambda: subject.extra, subject.config, only=subject.only)
    _own_failures(player.play(Probe()), subject)
    player.survey.verdict()
    return f"{FLOOD} lines at once"


def _reload(subject: Subject) -> str:
    async def scenario() -> None:
        with scratch() as folder, chdir(folder):
            for _ in range(2):
                async with running(subject.extra, subject.config, folder=Path(folder)) as chat:
                    await chat.server.reload()
                    await dialogue(chat, subject)
                    with suppress(OSError):
                        await _enter(chat, "carol")
                        await chat.server.reload()

    player = Player(_alone(subject), scenario, (), None)
    run = player.play(Probe())
    player.survey.verdict()
    _own_failures(run, subject)
    return "twice, and a restart in the same folder"


def _two_servers(subject: Subject) -> str:
    heard: list[list[int]] = []

    async def scenario(servers: int) -> None:
        async with AsyncExitStack() as stack:
            chats: list[Chat] = []
            for _ in range(servers):
                folder = stack.enter_context(scratch())
                stack.enter_context(chdir(folder))
                chats.append(
                    await stack.enter_async_context(running(subject.extra, subject.config, folder=Path(folder)))
                )
            for chat in chats:
                await dialogue(chat, subject)
            heard.extend([len(person.heard) for person in chat.people] for chat in chats)

    for servers in (1, 2):
        player = Player(_alone(subject), partial(scenario, servers=servers), (), None)
        run = player.play(Probe())
        player.survey.verdict()
        _own_failures(run, subject)
    alone, *both = heard
    for each in both:
        assert each == alone, f"alone, alice and bob hear {alone} lines; beside another server, {each}"
    return "the same dialogue on both"


def _keeps_nothing(subject: Subject) -> str:
    def play() -> None:
        player = _player(subject)
        player.play(Probe())

    gc.collect()
    before = {id(client) for client in _clients()}
    play()
    gc.collect()
    kept = [client for client in _clients() if id(client) not in before]
    assert not kept, f"{len(kept)} clients are still referred to after the server has ended, {_holder(subject, kept)}"
    return "all clients are forgotten"


def _clients() -> list[Client]:
    return [each for each in gc.get_objects() if type(each) is Client]


def _holder(subject: Subject, kept: list[Client]) -> str:
    module = subject.module
    for name, value in vars(module).items() if module else ():
        if any(client in gc.get_referents(value) for client in kept):
            return f"by {name} of {subject.file}"
    return "by something that outlives it"


def _does_not_block(subject: Subject) -> str:
    # A busy machine may hold anything up once; what happens twice is the plugin's doing.
    for _ in range(2):
        finder = BlockFinder()
        with finder.watching():
            player = _player(subject)
            player.play(Probe(), instruments=[finder])
        blocks = [block for block in finder.blocks if block.is_in(subject.file)]
        if not blocks:
            return "no step took longer than 0.2 s"
    raise AssertionError(f"it blocked the loop: {blocks[0].describe(subject.file)}")


CHECKS: Sequence[Check] = (
    Check("loads; its hooks", _loads),
    Check("an ordinary dialogue", _dialogue),
    Check("blocks nobody", _does_not_block),
    Check("cancelled in a hook", partial(_cancelled, "hook"), has_cases=True),
    Check("cancelled with its client", partial(_cancelled, "client"), has_cases=True),
    Check("cancelled in a lifespan", partial(_cancelled, "lifespan"), has_cases=True),
    Check("cancelled with the server", partial(_cancelled, "server"), has_cases=True),
    Check("hang-up in a hook", _hang_up, has_cases=True),
    Check("beside one that raises", partial(_beside, hangs=False), has_cases=True),
    Check("beside one that hangs", partial(_beside, hangs=True), has_cases=True),
    Check("a slow reader", _slow_reader),
    Check("a flood", _flood),
    Check("reload and restart", _reload),
    Check("two servers", _two_servers),
    Check("keeps nothing", _keeps_nothing),
)
