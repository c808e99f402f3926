"""Calls with secret arguments: what the log says of them has no word that may come from the arguments.

An error may quote what was typed, in its own text or in that of its cause, in whatever form. So nothing of that text is
logged, only the kind of the error and where it was raised.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from trichat._base.failures import leaves, split_failure
from trichat._plugins.shadow import noting_only


class Withheld(Exception):
    """A call with secret arguments failed. The text names the errors, and leaves out what they say."""


@contextmanager
def secretly(what: str) -> Iterator[None]:
    """Call something whose arguments are secret. What it raises becomes a `Withheld`, with the same traceback."""
    with noting_only(f"done something in {what}, whose arguments are secret"):
        try:
            yield
        except BaseException as error:
            failure, passing = split_failure(error)
            if failure is None:
                raise
            withheld = _withheld(failure, what)
            if passing is not None:
                raise BaseExceptionGroup("cut short", [passing, withheld]) from None
            raise withheld from None  # noqa: ASYNC104 -- there is no cancellation in it


def _withheld(failure: BaseException, what: str) -> Withheld:
    kinds = ", ".join(type(leaf).__name__ for leaf in leaves(failure))
    text = f"{kinds} (what it says is withheld, because the arguments of {what} are secret)"
    return Withheld(text).with_traceback(failure.__traceback__)
