"""Judges what plugins raise: whether it is a failure, and what to tell people about it.

Plugins may raise anything. It is split into what counts as their failure and what has to pass: cancellation, Ctrl-C
and the end of a generator.
"""

import traceback
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from trichat._base.code_location import owner_of
from trichat._base.errors import TrichatError

# Nobody looks for a plugin's fault in the files of these owners.
_NOT_THE_PLUGINS = ("python", "trio", "trichat")


class Misbehaved(Exception):
    """A plugin did something wrong that the server noticed. A traceback would only show the server's own code."""


class Exited(Exception):
    """A plugin raised something that is not an `Exception`, such as `SystemExit`; that is the cause."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what really happened: `error` itself, or the errors that it groups, however nested."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaves(member)
    else:
        yield error


def sentences(error: BaseException) -> str:
    """Return what to tell people about an error; for a group, what really happened."""
    return "; ".join(map(_sentence, leaves(error)))


def _sentence(error: BaseException) -> str:
    try:
        if isinstance(error, OSError) and error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        return str(error) or described(error)
    # The text of an exception is computed by its author's code. `pass_on` raises what has to pass.
    except BaseException as problem:  # noqa: ASYNC103
        pass_on(problem)
        return described(error)  # noqa: ASYNC104


def described(value: object) -> str:
    """Return `repr(value)`. If that fails, because it is a plugin's own code, return what else can be said of it."""
    try:
        return repr(value)
    except BaseException as problem:  # noqa: ASYNC103 -- see `_sentence`
        pass_on(problem)
        return f"<{type(value).__name__}, which cannot be shown>"  # noqa: ASYNC104


def with_place(error: BaseException) -> str:
    """Return what a plugin's code raised, and the line of it that raised, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.msg}"
    # Python does not name a file that contains a null byte.
    said = error.msg if isinstance(error, SyntaxError) else described(error)
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [f" at {file}:{line}" for file, line in lines if owner_of(file) not in _NOT_THE_PLUGINS]
    return f"{said}{own[-1] if own else ''}"


class Interruption(BaseException, metaclass=ABCMeta):
    """Ends everything that it passes through, as Ctrl-C does, and is nobody's failure. The test kit has some."""


def _is_failure(error: BaseException) -> bool:
    """Whether code that raises this has failed. `sys.exit` counts as a failure, because a plugin cannot end the server.

    Cancellation, Ctrl-C and the end of a generator are not failures.
    """
    return not isinstance(error, (trio.Cancelled, KeyboardInterrupt, GeneratorExit, Interruption, BaseExceptionGroup))


def split_failure(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Split what a plugin raised into its own failure and what has to pass: cancellation, Ctrl-C."""
    if isinstance(error, BaseExceptionGroup):
        failure, passing = error.split(_is_failure)
        return (error, None) if passing is None else (failure, passing)
    return (error, None) if _is_failure(error) else (None, error)


def pass_on(error: BaseException) -> None:
    """Raise the part of a plugin's error that has to pass, if there is one."""
    _, passing = split_failure(error)
    if passing is not None:
        raise passing


@contextmanager
def exceptions_only(note: Callable[[BaseException], None]) -> Iterator[None]:
    """Make what a plugin raises an `Exception`, so that the caller can catch it. What has to pass is not changed.

    If both come together, only the latter is raised, and `note` is called with the failure.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        failure, passing = split_failure(error)
        if passing is None:
            raise Exited(described(error)) from error  # noqa: ASYNC104 -- there is no cancellation in it
        if failure is not None:
            note(failure)
        raise passing from None  # noqa: ASYNC104


@contextmanager
def one_for_all() -> Iterator[None]:
    """Raise the `TrichatError` itself, however many groups it is wrapped in: one sentence for one fault."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(leaves(group))
        ours = [error for error in errors if isinstance(error, TrichatError)]
        # Ctrl-C and the like are never hidden.
        if not ours or not all(isinstance(error, Exception) for error in errors):
            raise
        raise ours[0] from ours[0].__cause__
