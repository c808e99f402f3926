"""The conformance run: everything that a plugin has to survive in production, tried on one plugin."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from trichat._base.errors import TrichatError
from trichat._base.failures import leaves
from trichat.testing._conformance import checks
from trichat.testing._conformance.checks import NoSuchCase
from trichat.testing._conformance.plugin_under_test import Subject
from trichat.testing._exploring.error_log import raised_at
from trichat.testing._probing.livelock_guard import Abandoned


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
        return Result(check.name, "\n".join(dict.fromkeys(map(_told, leaves(group)))), "")
    except Exception as error:
        return Result(check.name, _told(error), "")
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _told(error: BaseException) -> str:
    """Return what to say of an error: for our own, its sentence is enough."""
    if isinstance(error, (AssertionError, TrichatError, Abandoned)):
        return str(error)
    return f"{raised_at(error)}\n  {error}"


CHECKS: Sequence[Check] = (
    Check("loads; its hooks", checks.loads),
    Check("an ordinary dialogue", checks.ordinary_dialogue),
    Check("blocks nobody", checks.does_not_block),
    Check("cancelled in a hook", partial(checks.cancelled, "hook"), has_cases=True),
    Check("cancelled with its client", partial(checks.cancelled, "client"), has_cases=True),
    Check("cancelled in a lifespan", partial(checks.cancelled, "lifespan"), has_cases=True),
    Check("cancelled with the server", partial(checks.cancelled, "server"), has_cases=True),
    Check("hang-up in a hook", checks.hang_up, has_cases=True),
    Check("beside one that raises", partial(checks.beside, hangs=False), has_cases=True),
    Check("beside one that hangs", partial(checks.beside, hangs=True), has_cases=True),
    Check("a slow reader", checks.slow_reader),
    Check("a flood", checks.flood),
    Check("reload and restart", checks.reload),
    Check("two servers", checks.two_servers),
    Check("keeps nothing", checks.keeps_nothing),
)
