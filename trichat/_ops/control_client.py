"""The client of the control socket: `trichat tasks`, `trace`, `reload` and `ask` use it to ask a running server."""

import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trichat._base.errors import ControlError
from trichat._base.text import printable

# Seconds to wait for each part of an answer. A reload waits for plugins.
ANSWER_TIMEOUT = 60.0


class Line(NamedTuple):
    """A line of an answer."""

    text: str
    failed: bool
    """Whether it reports a failure."""


def ask(path: Path, request: str, *words: str, timeout: float | None = ANSWER_TIMEOUT) -> Iterator[Line]:
    """Send a request, with `words`, to the server at `path`, and yield its answer line by line. Raises `ControlError`.

    `timeout` limits each wait, in seconds. With `None` a wait has no limit, and the caller must be able to interrupt
    it.
    """
    line = shlex.join([request, *words])
    if "\n" in line:
        raise ControlError("a request is one line; leave out the line breaks")
    with _translated(path, timeout), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        sock.sendall(f"{line}\n".encode(errors="replace"))
        with sock.makefile("rb") as file:
            yield from _lines(file)


def _lines(file: BinaryIO) -> Iterator[Line]:
    for line in file:
        # The server sends only printable text, but another program may listen there.
        text = printable(line.decode(errors="replace").removesuffix("\n"))
        if text == ".":
            return
        yield Line(text[2:], failed=text.startswith("! "))
    raise ControlError("the server closed the connection in the middle of its answer")


@contextmanager
def _translated(path: Path, timeout: float | None) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ControlError(
            f"no server here: there is no {str(path)!r}; name its control socket with --control"
        ) from None
    except ConnectionRefusedError:
        if not path.is_socket():
            raise ControlError(f"{str(path)!r} is not a socket; name the control socket with --control") from None
        raise ControlError(f"no server here: nothing listens on {str(path)!r} any more") from None
    except PermissionError:
        raise ControlError(f"only the user that runs the server may use {str(path)!r}; ask as that user") from None
    except TimeoutError:
        raise ControlError(f"the server at {str(path)!r} did not answer within {timeout:g} seconds") from None
    except OSError as error:
        raise ControlError(f"cannot ask the server at {str(path)!r}: {error.strerror or error}") from None
