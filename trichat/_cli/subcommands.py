"""Subcommands of `trichat` that other packages bring, by entry points of the group `trichat.subcommands`.

An entry point names a function `add(parser)`. It adds the arguments of the subcommand to an `argparse.ArgumentParser`,
and returns what runs it: a function that takes the parsed arguments, and returns `False` if what was tried has failed.
The text of a `TrichatError` that it raises is told to the user. Nothing is imported before the subcommand is used.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from trichat._base.errors import PluginError
from trichat._base.failures import pass_on, with_place

GROUP = "trichat.subcommands"

Run = Callable[[argparse.Namespace], bool | None]
"""Carries a subcommand out. `False` says that what was tried has failed."""


class Subcommand(NamedTuple):
    """A subcommand, and the packages that bring one of this name: one, unless somebody has to decide."""

    name: str
    points: Sequence[EntryPoint]
    is_built_in: bool
    """Whether trichat itself has one of this name, which is the one that runs."""

    @property
    def about(self) -> str:
        """What the help says of it."""
        origin = f"from {self._packages}"
        if self.is_built_in:
            return f"{origin}: not used, trichat itself has one of this name"
        return origin if len(self.points) == 1 else f"{origin}: not used, only one of them may have this name"

    def add(self, parser: argparse.ArgumentParser) -> Run:
        """Import it, let it add its arguments, and return what runs it. Raises `PluginError`."""
        if len(self.points) > 1:
            raise PluginError(f"the packages {self._packages} have the subcommand {self.name!r}: uninstall all but one")
        try:
            run = self.points[0].load()(parser)
        except BaseException as error:
            pass_on(error)
            raise PluginError(
                f"the subcommand {self.name!r} of {self._packages} cannot be used: {with_place(error)}"
            ) from error
        if not callable(run):
            raise PluginError(
                f"the subcommand {self.name!r} of {self._packages} cannot be used: its function returns {run!r}, "
                "not a function that runs it"
            )
        return run  # type: ignore[no-any-return]

    @property
    def _packages(self) -> str:
        return " and ".join(sorted(point.dist.name if point.dist else "an unknown package" for point in self.points))


def find_subcommands(built_in: Collection[str]) -> list[Subcommand]:
    """Return those that are installed, in the order of their names. It reads files of each package, imports none."""
    found = defaultdict[str, list[EntryPoint]](list)
    for point in entry_points(group=GROUP):
        found[point.name].append(point)
    return [Subcommand(name, points, name in built_in) for name, points in sorted(found.items())]
