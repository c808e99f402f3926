"""The other side of the control socket: asks a server that runs, for `trichat tasks`, `trace`, `reload` and `ask`."""

import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trichat._base.errors import ControlError
from trichat._base.text import printable

# Seconds for the whole of a short answer to come. A reload waits for plugins.
ANSWER_TIMEOUT = 60.0


class Line(NamedTuple):
    """A line of an answer."""

    text: str
    failed: bool
    """Whether it says what has failed."""


def ask(path: Path, request: str, *words: str, timeout: float | None = ANSWER_TIMEOUT) -> Iterator[Line]:
    """Send a request, with `words`, to the server at `path`, and yield the answer as it comes. Raises `ControlError`.

    `timeout` is for each wait, in seconds; without it whoever waits has to have a way out.
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
        # The server has seen to it already; but whatever else may listen there has not.
        text = printable(line.decode(errors="replace").removesuffix("\n"))
        if text == ".":
            return
        yield Line(text[2:], failed=text.startswith("! "))
    raise ControlError("the server has gone in the middle of its answer")


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
            raise ControlError(f"{str(path)!r} is no socket; name that of the server with --control") from None
        raise ControlError(f"no server here: nobody listens at {str(path)!r} any more") from None
    except PermissionError:
        raise ControlError(f"{str(path)!r} is for whoever runs the server; ask as that user") from None
    except TimeoutError:
        raise ControlError(f"the server at {str(path)!r} does not answer within {timeout:g} seconds") from None
    except OSError as error:
        raise ControlError(f"cannot ask the server at {str(path)!r}: {error.strerror or error}") from None
