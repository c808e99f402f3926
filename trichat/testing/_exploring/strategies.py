"""The public strategies: each plays a scenario again and again, and lets something go wrong at another place."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Literal

from trichat.testing._chat.chat import Tables
from trichat.testing._exploring.faults import Faults
from trichat.testing._exploring.invariants import Invariant
from trichat.testing._exploring.player import Player, Survey
from trichat.testing._exploring.random_network import RandomNetwork
from trichat.testing._exploring.run import ENDS_WITHIN, MakePlugins, Scenario
from trichat.testing._probing.cancel_targets import CANCELLED, Part, Strike
from trichat.testing._probing.checkpoint_probe import Probe

Target = Literal["client", "hook", "lifespan", "server", "scenario", "part"]

TARGETS: Sequence[Target] = ("client", "hook", "lifespan", "server", "scenario", "part")


class PartDisturbance:
    """Something that goes wrong at one checkpoint of a part. By default, the part is cancelled there."""

    verb = "was cancelled"
    excused: Sequence[str] = (CANCELLED, "is told nothing any more", "crashed")
    """Texts of failures that the disturbance explains. A cancelled lifespan ends, so its plugin counts as crashed."""

    def __init__(self, strike: Strike, probe: Probe) -> None:
        self._strike = strike
        self._probe = probe

    def __str__(self) -> str:
        return str(self._strike)

    @property
    def happened(self) -> bool:
        return self._probe.struck is not None

    def describe(self) -> str:
        part = self._probe.struck
        if part is None or part.task is None:
            return f"{self._strike.part} ended before its checkpoint {self._strike.step}"
        place = part.place or "the end of a step"
        where = "on its way to" if self._strike.early else "at"
        return (
            f"{part.label} {self.verb} {where} its checkpoint {self._strike.step}, in the task {part.task.name},\n"
            f"  at {place}"
        )

    def excuses(self, failure: str) -> bool:
        return any(each in failure for each in self.excused)


def _call(
    function: str, scenario: Scenario, plugins: MakePlugins, config: Tables | None, seed: int = 0
) -> Callable[[str], str]:
    """Return a function from a case to the line of code that plays it alone."""
    arguments = [getattr(scenario, "__name__", repr(scenario))]
    if plugins:
        arguments.append(f"plugins={_code(plugins)}")
    if config:
        arguments.append(f"config={config!r}")
    if seed:
        arguments.append(f"seed={seed}")
    return lambda case: f"{function}({', '.join(arguments)}, only={int(case) if function == 'explore' else case!r})"


def _code(plugins: object) -> str:
    """Return the code for plugins, or for a function that makes them, by their names in a program."""
    if isinstance(plugins, Mapping):
        return f"{{{', '.join(f'{name!r}: {_code(plugin)}' for name, plugin in plugins.items())}}}"
    if isinstance(plugins, (list, tuple)):
        return f"[{', '.join(map(_code, plugins))}]"
    return str(getattr(plugins, "__name__", repr(plugins)))


def cancel_everywhere(
    scenario: Scenario,
    *,
    plugins: MakePlugins = (),
    config: Tables | None = None,
    targets: Collection[Target] = TARGETS,
    parts: Callable[[str], bool] = lambda _: True,
    invariants: Iterable[Invariant] = (),
    ends_within: float = ENDS_WITHIN,
    only: str = "",
    seed: int = 0,
) -> Survey:
    """Play a scenario again and again, cancel it at another checkpoint each time, and check the invariants.

    `scenario` is an async function. If it takes an argument, it gets a chat with `plugins` and `config`, as from
    `running`. Otherwise it is any code on Trio, and is cancelled as a whole.

    `targets` are the kinds of parts to cancel: the task of a client, a call of a hook, a plugin's lifespan, the server,
    the whole scenario, and each `part` of it. `parts` selects some of these by label (`"hook dice.on_message"`). Each
    part is cancelled at its first checkpoint, at its second, and so on, until it has no further one. Each checkpoint
    is tried twice: the part is cancelled while it waits there, and on its way there.

    `invariants` are checked besides those of the kit. `ends_within` is how many (virtual) seconds a part may take to
    end, unless the server grants it more. `only` plays one case alone, named as in the text of a violation. `seed`
    sets the order in which Trio runs tasks.

    Returns what was played. Raises `Violation`, and whatever the scenario raises when nothing is cancelled. Raises
    `ValueError` if there is no such case or target, and if `targets` and `parts` select nothing.
    """
    unknown = [target for target in targets if target not in TARGETS]
    if unknown:
        raise ValueError(f"unknown targets {unknown}; choose from: {', '.join(TARGETS)}")
    if only:
        Strike.parse(only)
    call = _call("cancel_everywhere", scenario, plugins, config, seed)
    player = Player(call, scenario, plugins, config, invariants, seed, only, ends_within)
    first = player.play(Probe())
    player.survey.verdict()
    chosen = [part for part in first.probe.parts if part.label.partition(" ")[0] in targets and parts(part.label)]
    if targets and not chosen:
        labels = ", ".join(part.label for part in first.probe.parts)
        raise ValueError(f"nothing was cancelled: targets and parts select none of: {labels}")
    for part in chosen:
        strike_everywhere(part.label, player)
    player.check_only(part.label for part in first.probe.parts)
    player.survey.verdict()
    return player.survey


def strike_everywhere(
    part: str,
    player: Player,
    act: Callable[[Part], None] = Part.cancel,
    disturbance: type[PartDisturbance] = PartDisturbance,
) -> None:
    """Strike a part at its first checkpoint, at its second, and so on, until it has no further one."""
    strikes = (Strike(part, step, early) for step in count(1) for early in (True, False))
    if player.only:
        strikes = (strike for strike in Strike.named(player.only) if strike.part == part)
    for strike in strikes:
        probe = Probe(strike, act)
        player.play(probe, disturbance(strike, probe))
        if probe.struck is None and (strike.early or player.only):
            return


def fault_everywhere(
    scenario: Scenario,
    *,
    plugins: MakePlugins = (),
    config: Tables | None = None,
    invariants: Iterable[Invariant] = (),
    only: str = "",
    seed: int = 0,
) -> Survey:
    """Play a scenario again and again, with a fault at another place each time, and check the invariants.

    At each receive and send of the server, the connection breaks, gives or takes a single byte, is ten seconds late,
    or ends. At each `os.write` to a file in the chat's folder, such as the chat log, the disk is full or fails. At each
    sync of such a file, the disk fails.

    The arguments are those of `cancel_everywhere`. Returns what was played. Raises `Violation`, and whatever the
    scenario raises when nothing goes wrong. Raises `ValueError` if there is no case of the name in `only`.
    """
    call = _call("fault_everywhere", scenario, plugins, config, seed)
    player = Player(call, scenario, plugins, config, invariants, seed, only)
    counting = Faults()
    player.play(Probe(), faults=counting)
    player.survey.verdict()
    possible = list(counting.possible())
    for fault in possible:
        if only in ("", str(fault)):
            faults = Faults(fault)
            player.play(Probe(), faults, faults=faults)
    player.check_only(map(str, possible))
    player.survey.verdict()
    return player.survey


def explore(
    scenario: Scenario,
    seeds: int = 200,
    *,
    plugins: MakePlugins = (),
    config: Tables | None = None,
    invariants: Iterable[Invariant] = (),
    only: int | None = None,
    **strategies: Any,
) -> Survey:
    """Play a scenario in many schedules, and check the invariants.

    The seeds count from 0. Each determines the order in which Trio runs tasks, and how the network splits and delays
    data; the same seed gives the same run. `strategies` are hypothesis strategies, by the names of the scenario's other
    parameters. If there are any, hypothesis draws the values, and looks for the simplest ones that break an invariant.
    The other arguments are those of `cancel_everywhere`; `only` plays one seed alone.

    Returns what was played. Raises `Violation`, and whatever the scenario raises. Raises `ValueError` if `seeds` is
    less than 1.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}")
    call = _call("explore", scenario, plugins, config)
    schedules = _Schedules(scenario, lambda bound: Player(call, bound, plugins, config, invariants), call)
    if strategies:
        schedules.search(strategies, seeds, only)
    else:
        schedules.play(range(seeds) if only is None else [only])
    return schedules.survey


class _Schedules:
    """The schedules of a scenario, one for each seed. `player_of` makes a player of it, or of it with drawn values."""

    def __init__(self, scenario: Scenario, player_of: Callable[[Scenario], Player], call: Callable[[str], str]) -> None:
        self._scenario = scenario
        self._player_of = player_of
        self._call = call
        self.survey = Survey()
        """What was played."""

    def play(self, seeds: Iterable[int]) -> None:
        """Play the scenario with each seed."""
        player = self._prepared(self._scenario)
        for seed in seeds:
            self._play_one(player, seed, {})

    def search(self, strategies: Mapping[str, Any], examples: int, only: int | None) -> None:
        """Let hypothesis draw so many seeds and values, and look for the simplest that break an invariant."""
        import hypothesis  # imported late: that takes longer than most tests

        def play(seed: int, **drawn: Any) -> None:
            self._play_one(self._prepared(partial(self._scenario, **drawn)), seed, drawn)

        chosen = hypothesis.strategies.integers(0, 2**16) if only is None else hypothesis.strategies.just(only)
        settings = hypothesis.settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        settings(hypothesis.given(seed=chosen, **strategies)(play))()

    def _prepared(self, scenario: Scenario) -> Player:
        """Return a player that has played the scenario once on a good network, to compare with."""
        player = self._player_of(scenario)
        player.play(Probe())
        player.survey.verdict()
        return player

    def _play_one(self, player: Player, seed: int, drawn: Mapping[str, Any]) -> None:
        network = RandomNetwork(seed, drawn)
        try:
            player.play(Probe(), network, faults=network, extra=network.plugins, seed=seed)
        except Exception as error:
            error.add_note(f"{network.describe()}; play this case alone: {self._call(str(network))}")
            raise
        self.survey.cases.append(str(seed))
        player.survey.verdict()
