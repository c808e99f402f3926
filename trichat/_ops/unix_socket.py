"""A Unix socket that nobody but its owner can ever connect to, at a path that only one living server has."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trichat._base.errors import StartError

# Whoever comes while this many wait is told at once that the server is busy.
BACKLOG = 16


@contextmanager
def private_socket(path: Path) -> Iterator[socket.socket]:
    """Listen at `path` for this user alone, and remove it at the end.

    What a crashed server left there is replaced. Raises `StartError` if another server has it, or if it cannot be made.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            with _alone_at(path):
                _remove_stale(path)
                # Linux gives the file the mode that the socket has when it is bound (less the umask, which can only
                # take away): there is no moment in which it is wider, and the umask of the process stays as it is.
                os.fchmod(sock.fileno(), 0o600)
                sock.bind(str(path))
                ours = _identity(path)
                sock.listen(BACKLOG)
        except OSError as error:
            raise StartError(f"cannot make the control socket {str(path)!r}: {error.strerror or error}") from error
        try:
            yield sock
        finally:
            # Somebody may have removed it, and another server may have taken the place.
            with suppress(OSError):
                if _identity(path) == ours:
                    path.unlink()


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    """Keep other servers from looking at the same path at the same moment, and replacing what we have just made.

    The lock is that of a file beside it, for which nobody else has a use: whoever works in the folder may lock that.
    """
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _is_locked(descriptor, lock):
            raise StartError(f"another server is being started with the control socket {str(path)!r}; try again")
        try:
            yield
        finally:
            lock.unlink()  # as long as it is ours
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, lock: Path) -> bool:
    """Lock an open file, and return whether that went, and is of use: whoever had the lock has removed the file."""
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), lock.lstat())
    return False


def _remove_stale(path: Path) -> None:
    """Make room at `path`, unless somebody listens there. Raises `StartError` or `OSError`."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"cannot make the control socket {str(path)!r}: there is a file of this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # it listens, and does not come to us
    raise StartError(
        f"another server has the control socket {str(path)!r}; stop it, or name another one with --control"
    )


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
