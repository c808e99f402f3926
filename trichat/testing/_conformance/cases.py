"""The cases of a check: its scenario, played again and again, while something else goes wrong each time."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import trio

from trichat._base.errors import TrichatError
from trichat.testing._chat.chat import Tables
from trichat.testing._conformance.plugin_under_test import Subject
from trichat.testing._conformance.standard_dialogue import dialogue
from trichat.testing._exploring.player import Player
from trichat.testing._exploring.run import Disturbance, Run, Scenario, takes_chat
from trichat.testing._exploring.strategies import PartDisturbance, strike_everywhere
from trichat.testing._probing.cancel_targets import Part
from trichat.testing._probing.checkpoint_probe import Probe

# A check stops after this many broken cases. More of them would say the same.
ENOUGH = 10


class NoSuchCase(TrichatError):
    """The plugin has no such case, so nothing was tried."""


class Cases:
    """The cases of one scenario, by default the dialogue. `tables` configures other plugins."""

    def __init__(self, subject: Subject, scenario: Scenario | None = None, tables: Tables | None = None) -> None:
        self._subject = subject
        scenario = scenario or partial(dialogue, subject=subject)
        plugins = {**subject.config["plugins"], **(tables or {})}
        config = {**subject.config, "plugins": plugins} if takes_chat(scenario) else None
        self._player = Player(
            lambda case: f"trichat check-plugin {subject.plugin} --only {case!r}",
            scenario,
            (lambda: subject.extra) if takes_chat(scenario) else (),
            config,
            [a_call_costs_its_own_line],
            only=subject.only,
        )

    def undisturbed(self, extra: Mapping[str, object] | None = None) -> Run:
        """Play the scenario while nothing goes wrong. Raises `AssertionError` if something does all the same."""
        run = self._player.play(Probe(), extra=extra)
        self._player.survey.verdict()
        failures = [failure for failure in run.failures if f"plugin {self._subject.name!r}" in failure]
        assert not failures, "\n".join(dict.fromkeys(failures))
        return run

    def play(
        self,
        disturbance: Disturbance | None = None,
        extra: Mapping[str, object] | None = None,
        instruments: Sequence[trio.abc.Instrument] = (),
    ) -> None:
        """Play one case, unless `only` names another one."""
        if disturbance is None or self._subject.only in ("", str(disturbance)):
            self._player.play(Probe(), disturbance, extra=extra, instruments=instruments)

    def strike_each(
        self,
        kind: str,
        act: Callable[[Part], None] = Part.cancel,
        disturbance: type[PartDisturbance] = PartDisturbance,
    ) -> str:
        """Strike each part of a kind at each of its checkpoints, and return how many there were.

        Raises what `undisturbed` and `verdict` raise.
        """
        for part in own_parts(self.undisturbed(), kind, self._subject):
            if len(self._player.survey.broken) < ENOUGH:
                strike_everywhere(part.label, self._player, act, disturbance)
        self.verdict()
        checkpoints = len(self._player.survey.cases) - 1
        return f"{checkpoints} checkpoints" if checkpoints else "it never waits there"

    def verdict(self) -> None:
        """Raise `Violation` if a case was broken, and `NoSuchCase` if `only` names a case that there is not."""
        if self._player.only and not self._player.survey.happened:
            raise NoSuchCase(self._player.only)
        self._player.survey.verdict()


def a_call_costs_its_own_line(run: Run) -> None:
    """A cancelled call loses no more than its own line."""
    if run.before is None or run.struck is None:
        return
    kind, _, hook = run.struck.label.partition(" ")
    if (kind == "hook" and ".on_broadcast" not in hook) or kind == "client":
        fates = [(fate, run.before.fates[name]) for name, fate in run.fates.items() if name in run.before.fates]
        lost = [line for now, before in fates for line in now.lost(before)]
        assert len(lost) <= (kind == "hook"), f"these lines were not passed on after the cancellation: {lost}"


def own_parts(run: Run, kind: str, subject: Subject) -> list[Part]:
    """Return the parts of a kind. Calls of hooks and commands, and lifespans, are those of the plugin under test."""
    if kind not in ("hook", "lifespan"):
        return [part for part in run.probe.parts if part.label.partition(" ")[0] == kind]
    own = (f"{kind} {subject.name}.", f"{kind} {subject.name} ")
    return [part for part in run.probe.parts if f"{part.label} ".startswith(own)]
