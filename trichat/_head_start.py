"""A head start: a coroutine that begins in one task, and goes on in another one as soon as it has to wait.

To wake a task takes a pass of Trio's loop. What nearly always ends without waiting need not be woken up for.
"""

from collections.abc import Coroutine, Generator
from types import coroutine


def has_ended(work: Coroutine[object, None, None]) -> bool:
    """Give `work` a head start: return whether that took it to its end. If not, `rest_of` it has to be awaited.

    Raises what it raises. Before it waits for anything, it has to call `hand_over`.
    """
    try:
        work.send(None)
    except StopIteration:
        return True
    return False


@coroutine
def hand_over() -> Generator[None, None, None]:
    """End a head start: what follows runs where the rest is awaited. Of no use without a head start."""
    yield


async def rest_of(work: Coroutine[object, None, None]) -> None:
    """Wait for what `work` had to wait for, and for all that follows, in the task that calls this."""
    await _resumed(work)


@coroutine
def _resumed(work: Coroutine[object, None, None]) -> Generator[object, None, None]:
    # `await` refuses a coroutine that has begun to wait.
    yield from work
