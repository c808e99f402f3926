"""A Unix socket that only its owner can connect to, at a path that only one running server uses."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trichat._base.errors import StartError

# Connections that may wait to be accepted. If more come, their clients learn at once that the server is busy.
BACKLOG = 16


@contextmanager
def private_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on `path` for this user alone, and remove the socket at the end.

    A socket left by a crashed server is replaced. Raises `StartError` if another server uses the path, or if the socket
    cannot be created.
    """
    if not path.name:
        raise StartError(f"cannot create the control socket {str(path)!r}: it is a folder; name a file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            with _alone_at(path):
                _remove_stale(path)
                # On Linux the file gets the mode that the socket has when it is bound, minus the umask. So there is no
                # moment when others may connect, and the umask of the process stays as it is.
                os.fchmod(sock.fileno(), 0o600)
                sock.bind(str(path))
                ours = _identity(path)
                sock.listen(BACKLOG)
        except OSError as error:
            raise StartError(f"cannot create the control socket {str(path)!r}: {error.strerror or error}") from error
        try:
            yield sock
        finally:
            # Somebody may have removed it, and another server may use the path by now.
            with suppress(OSError):
                if _identity(path) == ours:
                    path.unlink()


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    """Keep other servers from checking the same path at the same moment, and replacing the socket just created.

    It locks a file of its own next to the socket. The folder itself would not do, because other programs may lock it.
    """
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _is_locked(descriptor, lock):
            raise StartError(f"another server is starting with the control socket {str(path)!r}; try again")
        try:
            yield
        finally:
            lock.unlink()  # while this process still holds the lock
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, lock: Path) -> bool:
    """Lock an open file; return whether that worked and `lock` is still that file.

    The previous holder of the lock may have removed the file.
    """
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), lock.lstat())
    return False


def _remove_stale(path: Path) -> None:
    """Remove the socket at `path`, unless a server listens on it. Raises `StartError` or `OSError`."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"cannot create the control socket {str(path)!r}: a file with this name exists")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # a server listens, but its queue of connections is full
    raise StartError(
        f"another server uses the control socket {str(path)!r}; stop it, or name another socket with --control"
    )


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
