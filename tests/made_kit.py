"""Plugins made of functions, for tests of code that calls hooks."""

from collections.abc import Callable, Mapping
from typing import TypedDict

from trichat import Refuse, hookimpl

Hook = Callable[..., object]


class Place(TypedDict, total=False):
    """The place that a plugin asks for in the order of calls."""

    tryfirst: bool
    trylast: bool
    required: bool


class Made:
    """A plugin with these hooks, by name or by keyword, all at the same place in the order."""

    def __init__(
        self,
        named: Mapping[str, Hook] | None = None,
        *,
        tryfirst: bool = False,
        trylast: bool = False,
        required: bool = False,
        **hooks: Hook,
    ) -> None:
        self.required = required
        for name, function in {**(named or {}), **hooks}.items():
            setattr(self, name, hookimpl(tryfirst=tryfirst, trylast=trylast)(function))


def nothing() -> None:
    """A hook that does nothing."""


def refusing() -> Refuse:
    """A hook that refuses whatever it is asked."""
    return Refuse("quiet, please")
