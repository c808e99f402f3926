"""Worker threads: what comes out of them, and that one that hangs holds up nobody but those who share its limit."""

import threading
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from thread_kit import all_threads_taken

from trichat import WorkerThreads


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a function that hangs waits for: set at the end of the test, so that its thread ends."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_returns_what_its_function_returns() -> None:
    loop = threading.get_ident()
    assert await WorkerThreads(1).run(divmod, 7, 2) == (3, 1)
    assert await WorkerThreads(1).run(threading.get_ident) != loop


async def test_a_call_raises_what_its_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        await WorkerThreads(1).run(divmod, 7, 0)


async def test_a_call_that_takes_too_long_is_named(released: threading.Event) -> None:
    with pytest.raises(TimeoutError, match=r"^Event\.wait did not return within 0\.01 s$"):
        await WorkerThreads(1, timeout=0.01).run(released.wait)


async def test_the_wait_for_a_free_thread_is_part_of_the_timeout(released: threading.Event) -> None:
    threads = WorkerThreads(1, timeout=0.01)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await threads.run(released.wait)


async def test_a_function_that_raises_a_timeout_of_its_own_is_passed_on() -> None:
    def fail() -> None:
        raise TimeoutError("of the network")

    with pytest.raises(TimeoutError, match=r"^of the network$"):
        await WorkerThreads(1, timeout=60).run(fail)


async def test_a_caller_that_is_cancelled_does_not_wait_for_the_thread(released: threading.Event) -> None:
    begun = trio.Event()

    def hang() -> None:
        trio.from_thread.run_sync(begun.set)
        released.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(WorkerThreads(1).run, hang)
        await begun.wait()
        nursery.cancel_scope.cancel()


async def test_no_more_than_the_limit_run_at_a_time(released: threading.Event) -> None:
    threads = WorkerThreads(2)

    def hang() -> None:
        released.wait()

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(threads.run, hang)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.testing.active_thread_count() == 2
        released.set()


async def test_plugins_that_hang_in_all_of_trios_threads_take_none_of_these() -> None:
    with all_threads_taken():
        assert await WorkerThreads(1).run(divmod, 7, 2) == (3, 1)
