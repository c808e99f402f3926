"""Plays one scenario as often as asked, checks the invariants after each run, and keeps what was broken."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from trichat.testing._chat.chat import Tables
from trichat.testing._chat.scratch_folder import scratch
from trichat.testing._exploring.faults import Faults
from trichat.testing._exploring.invariants import INVARIANTS, Invariant, title
from trichat.testing._exploring.run import ENDS_WITHIN, Disturbance, MakePlugins, Run, Scenario, play
from trichat.testing._probing.checkpoint_probe import Probe

# The number of broken cases that are shown in full. One fault mostly shows at many checkpoints.
SHOWN = 3


class Broken(NamedTuple):
    """An invariant that did not hold, and what it said."""

    invariant: str
    what: str


class Violation(AssertionError):
    """Invariants were broken. `broken` has them, by the case that breaks them; pass a case as `only` to play it."""

    def __init__(self, text: str, broken: dict[str, list[Broken]]) -> None:
        super().__init__(text)
        self.broken = broken


class Survey:
    """The cases of a scenario that were played, and those that were broken."""

    def __init__(self) -> None:
        self.cases: list[str] = []
        """Every case that was played, in the form that `only` takes."""
        self.broken: dict[str, list[Broken]] = {}
        """The invariants that did not hold, by case."""
        self.happened = 0
        """The number of cases in which the cancellation or fault did happen."""
        self._told: list[str] = []

    def __str__(self) -> str:
        return f"{len(self.cases)} cases, {len(self.broken)} of them broken"

    def add(self, case: str, broken: list[Broken], told: str) -> None:
        """Add a case, the invariants that it broke, and the text about them."""
        self.cases.append(case)
        if broken:
            self.broken[case] = broken
            self._told.append(told)

    def verdict(self) -> None:
        """Raise `Violation` if an invariant was broken."""
        if self.broken:
            told = "\n\n".join(self._told[:SHOWN])
            more = list(self.broken)[SHOWN:]
            if more:
                told += f"\n\nand {len(more)} more broken cases: {', '.join(more[:20])}"
            raise Violation(f"{self}\n\n{told}", self.broken)


class Player:
    """Plays one scenario, and checks the invariants after each run."""

    def __init__(
        self,
        call: Callable[[str], str],
        scenario: Scenario,
        plugins: MakePlugins,
        config: Tables | None,
        invariants: Iterable[Invariant] = (),
        seed: int = 0,
        only: str = "",
        ends_within: float = ENDS_WITHIN,
    ) -> None:
        self._ends_within = ends_within
        self.only = only
        """The one case to play; if empty, all are played."""
        self.survey = Survey()
        self._call = call
        self._scenario = scenario
        self._plugins = plugins
        self._config = config
        self._invariants = [*INVARIANTS, *invariants]
        self._seed = seed
        self._first: Run | None = None

    def play(
        self,
        probe: Probe,
        disturbance: Disturbance | None = None,
        *,
        faults: Faults | None = None,
        extra: Mapping[str, object] | None = None,
        instruments: Sequence[trio.abc.Instrument] = (),
        seed: int | None = None,
    ) -> Run:
        """Play the scenario once, with the plugins in `extra` besides its own, and note what was broken."""
        with scratch() as folder:
            run = Run(Path(folder), probe, disturbance, self._first, self._ends_within)
            faults = faults or Faults()
            faults.probe = probe
            with faults.on_disk(run.folder):
                play(
                    self._scenario,
                    run,
                    plugins=self._plugins,
                    config=self._config,
                    transport=faults.transport,
                    seed=self._seed if seed is None else seed,
                    extra=extra,
                    instruments=instruments,
                )
            broken = list(_broken(run, self._invariants))
        if self._first is None:
            self._first = run
        case = "" if disturbance is None else str(disturbance)
        self.survey.add(case, broken, self._tell(run, case, broken))
        self.survey.happened += disturbance is not None and disturbance.happened
        return run

    def check_only(self, known: Iterable[str]) -> None:
        """Raise `ValueError` if there is no case of the name in `only`, so that nothing was tried."""
        if self.only and not self.survey.happened:
            raise ValueError(f"the case {self.only!r} did not happen; this scenario has: {', '.join(known)}")

    def _tell(self, run: Run, case: str, broken: list[Broken]) -> str:
        if not broken:
            return ""
        happened = (
            run.disturbance.describe()
            if run.disturbance is not None
            else "in the first run, in which nothing goes wrong on purpose"
        )
        lines = [happened]
        lines += [f"  {each.invariant}: BROKEN\n{textwrap.indent(each.what, '      ')}" for each in broken]
        if case:
            lines.append(f"  play this case alone: {self._call(case)}")
        if run.chat is not None:
            lines.append("  the dialogue:\n" + textwrap.indent(str(run.chat.dialogue), "      "))
        return "\n".join(lines)


def _broken(run: Run, invariants: Iterable[Invariant]) -> Iterator[Broken]:
    for invariant in invariants:
        try:
            invariant(run)
        except AssertionError as error:
            # pytest adds the values to the text of an assertion, and they may differ from run to run.
            yield Broken(title(invariant), str(error).partition("\nassert ")[0])
        except Exception as error:
            yield Broken(
                title(invariant),
                f"the invariant failed with {error!r}; correct it, or raise AssertionError with a text",
            )
