"""What can go wrong, split by whose fault it is."""

import traceback
from abc import ABCMeta
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trio

_TRICHAT = f"{Path(__file__).parent}/"
_PYTHON = f"{Path(traceback.__file__).parent}/"
_INSTALLED = (f"{_PYTHON}site-packages/", f"{_PYTHON}dist-packages/")


class TrichatError(Exception):
    """The base of all that trichat raises on purpose; its text is one clear sentence for the person at fault."""


class ConfigError(TrichatError):
    """The configuration is wrong: whoever wrote it has to act."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
        """One sentence each, naming the place and the value."""


class StartError(TrichatError):
    """The server cannot start here: the port is taken, a file cannot be opened, a plugin refuses."""


class ControlError(TrichatError):
    """A running server cannot be asked: it is not there, it is somebody else's, or it does not answer."""


class PluginError(TrichatError):
    """A plugin is not made as a plugin has to be: its author has to act."""


class StorageError(TrichatError, OSError):
    """What a plugin keeps cannot be read or written: the disk is full, the file is broken. The text says which."""


class RequiredPluginFailed(TrichatError):
    """A plugin that the messages cannot do without failed on a batch, so the batch was not sent."""


class ConnectionLost(TrichatError):
    """The other side is gone, or the way to it is; the text says how it showed."""


class Misbehaved(Exception):
    """What a plugin did is known from outside, so that a traceback would only show this file."""


class Exited(Exception):
    """A plugin raised what is no `Exception`, such as `SystemExit`; that is the cause."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what really happened: `error` itself, or the errors that it groups, however nested."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from leaves(member)
    else:
        yield error


def sentences(error: BaseException) -> str:
    """Return what to tell people of an error: of a group, what really happened."""
    return "; ".join(map(_sentence, leaves(error)))


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or repr(error)


def with_place(error: BaseException) -> str:
    """Return what came out of the code of a plugin, and the line of it that this came from, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.msg}"
    # Of a file with a null byte Python does not say which it is.
    said = error.msg if isinstance(error, SyntaxError) else repr(error)
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [f" at {file}:{line}" for file, line in lines if not _is_of_others(file)]
    return f"{said}{own[-1] if own else ''}"


def _is_of_others(file: str) -> bool:
    """Whether this is a file of Python or of trichat, in which nobody looks for what is wrong with a plugin."""
    is_python = file.startswith(_PYTHON) and not file.startswith(_INSTALLED)
    return is_python or file.startswith(("<frozen ", _TRICHAT))


class Interruption(BaseException, metaclass=ABCMeta):
    """Ends all that it comes through, as Ctrl-C does, and is nobody's failure. The test kit has some."""


def _is_failure(error: BaseException) -> bool:
    """Whether who raised this has failed by it: `sys.exit` and the like, too, for a plugin does not end the server.

    Cancellation, Ctrl-C and the end of a generator are no failures.
    """
    return not isinstance(error, (trio.Cancelled, KeyboardInterrupt, GeneratorExit, Interruption, BaseExceptionGroup))


def split_failure(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Split what came out of a plugin into its own failure and what has to pass: cancellation, Ctrl-C."""
    if isinstance(error, BaseExceptionGroup):
        failure, passing = error.split(_is_failure)
        return (error, None) if passing is None else (failure, passing)
    return (error, None) if _is_failure(error) else (None, error)


def pass_on(error: BaseException) -> None:
    """Raise what has to pass, if that is in what came out of a plugin."""
    _, passing = split_failure(error)
    if passing is not None:
        raise passing


@contextmanager
def exceptions_only(note: Callable[[BaseException], None]) -> Iterator[None]:
    """Let what comes out of a plugin be caught by `except Exception`; what has to pass passes as it is.

    `note` is called with a failure beside that, which nobody catches.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        failure, passing = split_failure(error)
        if passing is None:
            raise Exited(repr(error)) from error  # noqa: ASYNC104 -- there is no cancellation in it
        if failure is not None:
            note(failure)
        raise passing from None  # noqa: ASYNC104


@contextmanager
def one_for_all() -> Iterator[None]:
    """Raise the `TrichatError` itself, out of however many groups it comes: one sentence for one fault."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(leaves(group))
        ours = [error for error in errors if isinstance(error, TrichatError)]
        # Ctrl-C and the like are never hidden.
        if not ours or not all(isinstance(error, Exception) for error in errors):
            raise
        raise ours[0] from ours[0].__cause__
