"""The live tree of tasks: who owns each, and where it waits."""

from collections.abc import Iterator

import trio
from trio.lowlevel import Task

from trichat._base.code_location import owner_of, shown_line

INDENT = "    "


def task_tree(root: Task | None = None) -> str:
    """Return the tasks below `root` (by default all of them), one a line, each with the line of code where it waits.

    The running task, which called this, has no such line. Raises `RuntimeError` outside of Trio.
    """
    return "\n".join(task_lines(root))


def task_lines(root: Task | None = None) -> Iterator[str]:
    """Yield the lines of `task_tree`. Tasks may start and end between two lines; those that ended are left out."""
    root = root or trio.lowlevel.current_root_task()
    assert root is not None
    yield from _branch(root, "")


def tasks_below(root: Task) -> Iterator[Task]:
    """Yield `root` and all tasks that it owns, directly or not."""
    yield root
    for nursery in root.child_nurseries:
        for child in nursery.child_tasks:
            yield from tasks_below(child)


def system_tasks() -> Iterator[Task]:
    """Yield the tasks that nobody owns: those of `spawn_system_task`, including Trio's own.

    Raises `RuntimeError` outside of Trio.
    """
    task: Task | None = trio.lowlevel.current_task()
    owners = []
    while task is not None:
        owners.append(task)
        task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
    for nursery in owners[-1].child_nurseries:
        yield from (child for child in nursery.child_tasks if child not in owners)


def waiting_at(task: Task) -> str:
    """Return where a task waits, as `file.py:12 in name: await event.wait()`; empty for the running task.

    This is the innermost line that is neither in Trio nor in Python's own library.
    """
    if getattr(task.coro, "cr_running", False):
        return ""
    innermost = None
    for frame, line in task.iter_await_frames():
        if innermost is None or owner_of(frame.f_code.co_filename) not in ("python", "trio"):
            innermost = frame.f_code, line
    if innermost is None:
        return ""
    code, line = innermost
    return shown_line(code.co_filename, line, code.co_qualname)


def _branch(task: Task, indent: str) -> Iterator[str]:
    place = waiting_at(task)
    yield f"{indent}{task.name}{f'  at {place}' if place else ''}"
    nurseries = [nursery for nursery in task.child_nurseries if nursery.child_tasks]
    for nursery in nurseries:
        inside = indent + INDENT
        if len(nurseries) > 1:  # a single nursery needs no line besides that of its owner
            yield f"{inside}nursery"
            inside += INDENT
        for child in sorted(nursery.child_tasks, key=lambda child: child.name):
            if not _has_ended(child):
                yield from _branch(child, inside)


def _has_ended(task: Task) -> bool:
    return getattr(task.coro, "cr_frame", task) is None
