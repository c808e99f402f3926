"""A Unix socket in the file system: who may connect, who has it, and what is left of it."""

import fcntl
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from process_kit import PATIENCE, is_root

from trichat import StartError
from trichat._net.unix_socket import PRIVATE, unix_socket

listening = partial(unix_socket, backlog=16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trichat.sock"


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def leave_a_stale_one(path: Path) -> None:
    """Do what a server does that is killed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


# Who may connect.


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [PRIVATE, 0o660, 0o666])
def test_it_has_its_mode_whatever_the_umask_is(path: Path, mask: int, mode: int) -> None:
    with umask(mask), listening(path, mode=mode):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_it_is_for_its_owner_alone_unless_there_is_another_mode(path: Path) -> None:
    with listening(path):
        assert stat.filemode(path.stat().st_mode) == "srw-------"


def test_the_mode_is_given_to_no_other_file_that_took_its_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious = path.with_name("precious")
    precious.touch(0o600)

    class Replaced(socket.socket):
        """Somebody who may write to the folder puts a link there the moment the file comes to be."""

        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            path.unlink()
            path.symlink_to(precious)

    monkeypatch.setattr(socket, "socket", Replaced)
    with umask(0o022), listening(path, mode=0o666):
        assert stat.S_IMODE(precious.stat().st_mode) == 0o600


def test_it_never_was_for_anybody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []

    class Watched(socket.socket):
        """Tells how the file is the moment it comes to be, before anything else could be done to it."""

        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            modes.append(stat.filemode(path.stat().st_mode))

    monkeypatch.setattr(socket, "socket", Watched)
    with umask(0), listening(path):
        assert modes == ["srw-------"]


def test_the_umask_of_the_process_is_left_alone(path: Path) -> None:
    with umask(0o027), listening(path):
        assert os.umask(0o027) == 0o027


@pytest.mark.skipif(not is_root(), reason="only root can become somebody else")
def test_somebody_else_cannot_connect() -> None:
    with TemporaryDirectory() as folder, listening(path := Path(folder) / "trichat.sock"):
        os.chmod(folder, 0o755)  # nobody else may enter that of pytest
        tries = f"import os, socket; os.setuid(65534); socket.socket(socket.AF_UNIX).connect({os.fspath(path)!r})"
        ended = subprocess.run([sys.executable, "-c", tries], capture_output=True, timeout=PATIENCE, check=False)
        assert b"PermissionError" in ended.stderr


# What is there before.


def test_what_a_crashed_server_left_is_replaced(path: Path) -> None:
    leave_a_stale_one(path)
    assert not connects(path)
    with listening(path):
        assert connects(path)


def test_a_server_that_lives_keeps_it(path: Path) -> None:
    with listening(path):
        complaint = re.escape(f"another server uses the socket {str(path)!r}")
        with pytest.raises(StartError, match=complaint), listening(path):
            pass
        assert connects(path)


def test_a_server_that_lives_and_takes_nobody_any_more_keeps_it(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(StartError, match="another server uses the socket"), listening(path):
            pass


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.parent / "elsewhere.sock")
        leave_a_stale_one(path.parent / "elsewhere.sock")
    with pytest.raises(StartError, match="a file with this name exists"), listening(path):
        pass
    assert path.is_symlink() or path.exists()


@contextmanager
def locked(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def test_of_two_that_start_at_the_same_moment_one_is_told_to_try_again(path: Path) -> None:
    beside = path.with_name("trichat.sock.lock")
    complaint = "another server is starting with the socket"
    with locked(beside, os.O_RDWR | os.O_CREAT), pytest.raises(StartError, match=complaint), listening(path):
        pass
    with listening(path):
        assert connects(path)


def test_one_that_gets_the_lock_when_the_other_one_is_through_is_told_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def wait_for_the_other(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        path.with_name("trichat.sock.lock").unlink()

    monkeypatch.setattr(fcntl, "flock", wait_for_the_other)
    with pytest.raises(StartError, match="another server is starting"), listening(path):
        pass


def test_whoever_works_in_the_folder_may_lock_it(path: Path) -> None:
    with locked(path.parent), listening(path):
        assert connects(path)


def test_nothing_but_the_socket_is_in_the_folder(path: Path) -> None:
    with listening(path):
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no/folder/trichat.sock", "No such file or directory"), ("x" * 200, "path too long"), ("\0", "null byte")],
)
def test_a_place_where_it_cannot_be_is_one_sentence(tmp_path: Path, name: str, reason: str) -> None:
    complaint = f"cannot create the socket '.*': .*{reason}"
    with pytest.raises(StartError, match=complaint), listening(tmp_path / name):
        pass


# What is left.


@pytest.mark.parametrize("ends", [None, KeyboardInterrupt])
def test_it_is_removed_at_the_end_however_that_comes(path: Path, ends: type[BaseException] | None) -> None:
    try:
        with listening(path):
            if ends is not None:
                raise ends
    except KeyboardInterrupt:
        pass
    assert not path.exists()


def test_who_removed_it_by_hand_and_started_another_server_keeps_that_one(path: Path) -> None:
    with listening(path):
        path.unlink()
        other = listening(path)
        other.__enter__()
    assert connects(path)
    other.__exit__(None, None, None)
    assert not path.exists()


def test_a_folder_is_not_a_place_for_it() -> None:
    complaint = r"cannot create the socket '\.': it is a folder; name a file"
    with pytest.raises(StartError, match=complaint), listening(Path()):
        pass
