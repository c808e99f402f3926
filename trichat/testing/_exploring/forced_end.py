"""Ends a run in which a task waits forever."""

import gc

import trio
from trio.lowlevel import Task

from trichat._base.code_location import owner_of
from trichat._base.task_tree import tasks_below
from trichat.testing._chat import virtual_time
from trichat.testing._exploring.leftovers import described

# Virtual seconds after which a task that still waits counts as deadlocked.
DEADLOCK_TIMEOUT = 2 * 3600.0

# The reason of the cancellation that ends such a run.
_REASON = "trichat.testing: it would wait forever"


async def force_end(endless: list[str], everything: trio.CancelScope) -> None:
    """If a run has waited too long, add each waiting task to `endless`, and end all of them.

    `everything` is the cancel scope around the run.
    """
    await trio.sleep(DEADLOCK_TIMEOUT)
    root = trio.lowlevel.current_root_task()
    assert root is not None
    stuck = [task for task in tasks_below(root) if _is_leaf(task) and is_of_run(task)]
    # The server's own tasks only wait for the culprits.
    culprits = [task for task in stuck if not _is_at_server_code(task)]
    endless += [f"it would have waited forever: {described(task)}" for task in culprits or stuck]
    everything.cancel(_REASON)
    for _ in range(100):
        # Only a shield keeps a waiting task from being cancelled. Trio does not tell which scopes a task is in
        # (`Task._cancel_status` is private), except for those of nurseries, so the garbage collector has to.
        for scope in gc.get_objects():
            if type(scope) is trio.CancelScope and scope.shield:
                scope.shield = False
        for task in tasks_below(root):
            for nursery in task.child_nurseries:
                if is_of_run(task):
                    nursery.cancel_scope.cancel(_REASON)
        await virtual_time.idle()


def is_of_run(task: Task) -> bool:
    """Whether a task is neither Trio's own nor that of `force_end`."""
    return not task.name.startswith(("trio._", "<", f"{force_end.__module__}.{force_end.__name__}"))


def _is_leaf(task: Task) -> bool:
    return not any(nursery.child_tasks for nursery in task.child_nurseries)


def _is_at_server_code(task: Task) -> bool:
    """Whether the line where a task waits is in the server's own code."""
    owners = [owner_of(frame.f_code.co_filename) for frame, _ in task.iter_await_frames()]
    innermost = [owner for owner in owners if owner not in ("python", "trio")][-1:]
    return innermost == ["trichat"]
