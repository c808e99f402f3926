"""A Unix socket at a path that only one running server uses, for those who may connect to it."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trichat._base.errors import StartError

# The mode of a socket for this user alone.
PRIVATE = 0o600


@contextmanager
def unix_socket(
    path: Path,
    backlog: int,
    mode: int = PRIVATE,
    *,
    kind: str = "socket",
    remedy: str = "stop it, or choose another path",
) -> Iterator[socket.socket]:
    """Listen on `path`, and remove the socket at the end.

    `backlog` connections may wait to be accepted; if more come, their clients learn at once that the server is busy.
    `mode` is that of the file, whatever the umask is: who may write to it may connect. A socket left by a crashed
    server is replaced. Raises `StartError` if another server uses the path, or if the socket cannot be created. Its
    text calls the socket by its `kind`, and names the `remedy` if the path is in use.
    """
    name = f"the {kind} {str(path)!r}"
    if not path.name:
        raise StartError(f"cannot create {name}: it is a folder; name a file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            with _alone_at(path, name):
                _remove_stale(path, name, remedy)
                # On Linux the file gets the mode that the socket has when it is bound, minus the umask. So there is no
                # moment when more people may connect, and the umask of the process stays as it is.
                os.fchmod(sock.fileno(), mode)
                sock.bind(str(path))
                _undo_umask(path, mode)
                ours = _identity(path)
                sock.listen(backlog)
        except (OSError, ValueError) as error:
            raise StartError(f"cannot create {name}: {getattr(error, 'strerror', None) or error}") from error
        try:
            yield sock
        finally:
            # Somebody may have removed it, and another server may use the path by now.
            with suppress(OSError):
                if _identity(path) == ours:
                    path.unlink()


@contextmanager
def _alone_at(path: Path, name: str) -> Iterator[None]:
    """Keep other servers from checking the same path at the same moment, and replacing the socket just created.

    It locks a file of its own next to the socket. The folder itself would not do, because other programs may lock it.
    """
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _is_locked(descriptor, lock):
            raise StartError(f"another server is starting with {name}; try again")
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


def _remove_stale(path: Path, name: str, remedy: str) -> None:
    """Remove the socket at `path`, unless a server listens on it. Raises `StartError` or `OSError`."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"cannot create {name}: a file with this name exists")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # a server listens, but its queue of connections is full
    raise StartError(f"another server uses {name}; {remedy}")


def _undo_umask(path: Path, mode: int) -> None:
    """Give the file the whole mode, if the umask took something of it."""
    # Where others may write to the folder, the path may be a link to another file by now. A descriptor cannot change
    # its file, and a link has no mode.
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(found) and stat.S_IMODE(found) != mode:
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
