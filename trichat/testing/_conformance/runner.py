"""The conformance run: tries on one plugin everything that it must survive in production."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from trichat._base.errors import TrichatError
from trichat._base.failures import leaves
from trichat.testing._conformance import checks
from trichat.testing._conformance.cases import NoSuchCase
from trichat.testing._conformance.plugin_under_test import Subject
from trichat.testing._exploring.error_log import raised_at
from trichat.testing._probing.livelock_guard import Abandoned


class Result(NamedTuple):
    """The result of one check."""

    check: str
    failure: str
    """Empty if it passed."""
    remark: str
    """What was tried."""


class Check(NamedTuple):
    """One check: a row of the table."""

    name: str
    run: Callable[[Subject], str]
    """Returns what was tried; raises `AssertionError` or `TrichatError`."""
    has_cases: bool = False
    """Whether it has cases, of which `only` can name one."""


def check_plugin(subject: Subject) -> Iterator[Result]:
    """Run all checks, and yield each result as soon as its check has ended. Stops if the plugin does not even load.

    Each dialogue has a folder of its own for what the plugin writes, unless the plugin's options name another place.
    Raises `NoSuchCase` if `subject.only` names a case that there is not.
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
        raise NoSuchCase(
            f"the plugin {subject.name!r} has no case {subject.only!r}; copy one from the text of a failure"
        )


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
    """Return the text for an error. The text of our own errors is enough; others need their type and place."""
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
    Check("another plugin raises", partial(checks.another_plugin, hangs=False), has_cases=True),
    Check("another plugin hangs", partial(checks.another_plugin, hangs=True), has_cases=True),
    Check("a slow reader", checks.slow_reader),
    Check("a flood", checks.flood),
    Check("reload and restart", checks.reload),
    Check("two servers", checks.two_servers),
    Check("keeps nothing", checks.keeps_nothing),
)
