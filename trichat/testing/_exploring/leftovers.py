"""What a run should not leave: tasks, threads, open files, and coroutines that nobody awaited."""

import gc
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import trio
from trio.lowlevel import Task

from trichat._base.task_tree import tasks_below, waiting_at

# The names of threads that Trio keeps for the next call of to_thread.run_sync.
_TRIO_THREAD = "Trio thread "

# Seconds of real time that a thread has to end, and how often the kit looks in that time.
GRACE = 0.5
LOOKS = 50

_NEVER_AWAITED = r"coroutine .* was never awaited"


def described(task: Task) -> str:
    """Return a name for a task that should not be there, and the line where it waits."""
    place = waiting_at(task)
    return f"the task {task.name}{f' at {place}' if place else ''}"


def all_tasks() -> Iterator[Task]:
    """Yield all tasks of this run of Trio."""
    root = trio.lowlevel.current_root_task()
    return iter(()) if root is None else tasks_below(root)


@contextmanager
def leftovers_noted(left: list[str]) -> Iterator[None]:
    """Add to `left` what the block leaves in this process: open files, threads, and unawaited coroutines."""
    files, threads = _open_files(), set(_threads())
    with _never_awaited_noted(left):
        yield
    more = _open_files() - files
    if more:
        gc.collect()
        more = _open_files() - files
    left += [f"the file {file} is still open" for file in more.elements()]
    left += [
        f"the thread {thread.name} is still running"
        for thread in _threads()
        if thread not in threads and not _ends(thread)
    ]


def _open_files() -> Counter[str]:
    """Return the open files of this process, by name. Nothing where the system has no `/proc`."""
    found: Counter[str] = Counter()
    with suppress(OSError):
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                found[os.readlink(f"/proc/self/fd/{fd}").partition(":[")[0]] += 1
    return found


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if not thread.name.startswith(_TRIO_THREAD)]


def _ends(thread: threading.Thread) -> bool:
    """Whether a thread ends soon, or has become one of Trio's idle threads."""
    for _ in range(LOOKS):
        thread.join(GRACE / LOOKS)
        if not thread.is_alive() or thread.name.startswith(_TRIO_THREAD):
            return True
    return False


@contextmanager
def _never_awaited_noted(left: list[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("always", _NEVER_AWAITED, RuntimeWarning)
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, RuntimeWarning) and re.match(_NEVER_AWAITED, str(message)):
                left.append(f"the {message} ({os.path.basename(filename)}:{lineno})")
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        yield
