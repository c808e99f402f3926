"""Subcommands of `trichat` that other packages add, by entry points of the group `trichat.subcommands`.

An entry point names a function `add(parser)`. It adds the arguments of the subcommand to an `argparse.ArgumentParser`,
and returns the function that runs the subcommand. That function takes the parsed arguments, and returns `False` if it
has failed. If it raises a `TrichatError`, the user sees the error's text. Nothing is imported before the subcommand is
used.
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
"""Runs a command. It returns `False` if the command has failed."""


class Subcommand(NamedTuple):
    """A subcommand, with the entry points of this name. It can be used only if there is exactly one."""

    name: str
    points: Sequence[EntryPoint]
    is_built_in: bool
    """Whether trichat itself has a command of this name; that one is used."""

    @property
    def about(self) -> str:
        """The line about it in the help."""
        origin = f"from {self._packages}"
        if self.is_built_in:
            return f"{origin}: not used, because trichat itself has a command of this name"
        return origin if len(self.points) == 1 else f"{origin}: not used, because only one of them may have this name"

    def add(self, parser: argparse.ArgumentParser) -> Run:
        """Import it, let it add its arguments, and return what runs it. Raises `PluginError`."""
        if len(self.points) > 1:
            raise PluginError(
                f"the packages {self._packages} all have the subcommand {self.name!r}; uninstall all but one"
            )
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
    """Return the installed subcommands, sorted by name. Reads the metadata of all packages, but imports none."""
    found = defaultdict[str, list[EntryPoint]](list)
    for point in entry_points(group=GROUP):
        found[point.name].append(point)
    return [Subcommand(name, points, name in built_in) for name, points in sorted(found.items())]
