"""The other side of the control socket: what whoever asks sees, also when there is nobody who answers."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from process_kit import PATIENCE, is_root

from trichat._base.errors import ControlError
from trichat._ops.control_client import Line, ask


@contextmanager
def answering(path: Path, answer: bytes | None) -> Iterator[list[bytes]]:
    """A server at `path` that gives one answer, or none, and notes what it was asked."""
    asked: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(1000))
            if answer is None:
                done.wait(PATIENCE)
            else:
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            done.set()
            thread.join(PATIENCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trichat.sock"


def test_an_answer_comes_line_by_line_with_what_has_failed_marked(path: Path) -> None:
    with answering(path, "= 3 µs\n=   indented\n! it is a Monday\n= \n.\n".encode()) as asked:
        assert [*ask(path, "tasks")] == [
            Line("3 µs", failed=False),
            Line("  indented", failed=False),
            Line("it is a Monday", failed=True),
            Line("", failed=False),
        ]
    assert asked == [b"tasks\n"]


def test_the_words_of_a_request_are_quoted(path: Path) -> None:
    with answering(path, b".\n") as asked:
        assert [*ask(path, "greet", "alice", "bob the builder", "")] == []
    assert asked == [b"greet alice 'bob the builder' ''\n"]


def test_a_request_of_two_lines_is_refused(path: Path) -> None:
    with pytest.raises(ControlError, match="a request is one line; leave out the line breaks"):
        [*ask(path, "greet", "alice\nreload")]


def test_what_listens_there_cannot_play_tricks_on_the_terminal(path: Path) -> None:
    with answering(path, b"= \x1b]0;owned\x07red\x1b[31m \xff\n.\n"):
        assert [*ask(path, "tasks")] == [Line("red \ufffd", failed=False)]


def test_an_answer_that_is_cut_off_is_no_answer(path: Path) -> None:
    with answering(path, b"= first\n"):
        answer = ask(path, "tasks")
        assert next(answer).text == "first"
        with pytest.raises(ControlError, match="in the middle of its answer"):
            next(answer)


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(path: Path) -> None:
    with answering(path, None), pytest.raises(ControlError, match=r"did not answer within 0\.01 seconds"):
        [*ask(path, "tasks", timeout=0.01)]


def test_where_there_is_no_server_it_says_so(path: Path) -> None:
    with pytest.raises(ControlError, match=re.escape(f"no server here: there is no {str(path)!r}")):
        [*ask(path, "tasks")]


def test_where_a_server_has_crashed_it_says_so(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    with pytest.raises(ControlError, match=re.escape(f"nothing listens on {str(path)!r} any more")):
        [*ask(path, "tasks")]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_socket_was_never_a_server(path: Path, kind: str) -> None:
    path.touch() if kind == "file" else path.mkdir()
    with pytest.raises(ControlError) as refusal:
        [*ask(path, "tasks")]
    assert str(refusal.value) == f"{str(path)!r} is not a socket; name the control socket with --control"


def test_a_path_that_cannot_be_one_is_one_sentence() -> None:
    with pytest.raises(ControlError, match=r"cannot ask the server at 'x*': .*path too long"):
        [*ask(Path("x" * 200), "tasks")]


@pytest.mark.skipif(not is_root(), reason="only root can become somebody else")
def test_the_server_of_somebody_else_cannot_be_asked(tmp_path: Path, path: Path) -> None:
    with answering(path, b".\n") as asked:
        path.chmod(0o600)
        code = (
            "import os, socket, sys; from pathlib import Path\n"
            "from trichat._ops.control_client import ask; os.setuid(65534)\n"
            f"for _ in ask(Path({os.fspath(path)!r}), 'tasks'): pass"
        )
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE, check=False)
        assert b"only the user that runs the server may use" in ended.stderr
        assert asked == []
        [*ask(path, "tasks")]
