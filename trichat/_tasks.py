"""The live tree of tasks: who owns each, and where it waits."""

import linecache
from collections.abc import Iterator
from pathlib import Path

import trio
from trio.lowlevel import Task


def task_tree(root: Task | None = None) -> str:
    """Return the tasks below `root` (by default all of them), one a line, each with the line of code where it waits.

    The one that is running, which asks, has no such line. Raises `RuntimeError` outside of Trio.
    """
    root = root or trio.lowlevel.current_root_task()
    assert root is not None
    return "\n".join(_branch(root, ""))


def tasks_below(root: Task) -> Iterator[Task]:
    """Yield `root` and all tasks that it owns, directly or not."""
    yield root
    for nursery in root.child_nurseries:
        for child in nursery.child_tasks:
            yield from tasks_below(child)


def waiting_at(task: Task) -> str:
    """Return where a task waits, as `file.py:12 in name: await event.wait()`; empty for the one that is running.

    That is the innermost line that is not Trio's own.
    """
    library = str(Path(trio.__file__).parent)
    place = ""
    if getattr(task.coro, "cr_running", False):
        return place
    for frame, line in task.iter_await_frames():
        path = frame.f_code.co_filename
        if not place or not path.startswith((library, "<")):
            code = linecache.getline(path, line).strip()
            place = f"{Path(path).name}:{line} in {frame.f_code.co_qualname}: {code}"
    return place


def _branch(task: Task, indent: str) -> Iterator[str]:
    place = waiting_at(task)
    yield f"{indent}{task.name}{f'  at {place}' if place else ''}"
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda child: child.name):
            yield from _branch(child, indent + "    ")
