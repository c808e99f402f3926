"""The end by force of a run in which somebody waits for ever."""

import gc

import trio
from trio.lowlevel import Task

from trichat._base.code_location import owner_of
from trichat._base.task_tree import tasks_below
from trichat.testing._chat import virtual_time
from trichat.testing._exploring.leftovers import described

# In virtual time, so long that whatever has not ended by then never will.
FOR_EVER = 2 * 3600.0

# What the cancellation says that ends a run by force.
ENDED = "trichat.testing: it would wait for ever"


async def end_by_force(endless: list[str], everything: trio.CancelScope) -> None:
    """When nothing else happens any more, note who still waits, and end it: it would do so for ever."""
    await trio.sleep(FOR_EVER)
    root = trio.lowlevel.current_root_task()
    assert root is not None
    stuck = [task for task in tasks_below(root) if _is_leaf(task) and is_of_run(task)]
    # The server's own tasks wait for whoever it is.
    culprits = [task for task in stuck if not _is_at_server_code(task)]
    endless += [f"it would have waited for ever: {described(task)}" for task in culprits or stuck]
    everything.cancel(ENDED)
    for _ in range(100):
        # What holds a cancellation off is a shield: without one, everything that waits ends. Trio gives nobody the
        # scopes that a task is in (`Task._cancel_status` is private); only those of nurseries can be reached.
        for scope in gc.get_objects():
            if type(scope) is trio.CancelScope and scope.shield:
                scope.shield = False
        for task in tasks_below(root):
            for nursery in task.child_nurseries:
                if is_of_run(task):
                    nursery.cancel_scope.cancel(ENDED)
        await virtual_time.idle()


def is_of_run(task: Task) -> bool:
    """Whether a task is neither Trio's own nor the one that ends by force."""
    return not task.name.startswith(("trio._", "<", f"{end_by_force.__module__}.{end_by_force.__name__}"))


def _is_leaf(task: Task) -> bool:
    return not any(nursery.child_tasks for nursery in task.child_nurseries)


def _is_at_server_code(task: Task) -> bool:
    """Whether what a task waits for is written in the server itself."""
    owners = [owner_of(frame.f_code.co_filename) for frame, _ in task.iter_await_frames()]
    innermost = [owner for owner in owners if owner not in ("python", "trio")][-1:]
    return innermost == ["trichat"]
