"""A task that waits forever is named, and the run ends nevertheless."""

import subprocess
import sys

import pytest
import trio

from trichat.testing import run
from trichat.testing._exploring.forced_end import DEADLOCK_TIMEOUT, force_end


async def wait_in_vain(event: trio.Event) -> None:
    await event.wait()


def forced(*, shielded: bool) -> tuple[list[str], float]:
    """Let two tasks wait forever. Return the report about them, and the time when the run ended."""

    async def main() -> tuple[list[str], float]:
        endless: list[str] = []
        everything = trio.CancelScope()
        trio.lowlevel.spawn_system_task(force_end, endless, everything)
        with everything:
            async with trio.open_nursery() as nursery:
                nursery.cancel_scope.shield = shielded
                nursery.start_soon(wait_in_vain, trio.Event())
                nursery.start_soon(wait_in_vain, trio.Event())
        return endless, trio.current_time()

    return run(main)


def test_whoever_waits_for_ever_is_named_and_ended() -> None:
    endless, end = forced(shielded=False)
    assert end == DEADLOCK_TIMEOUT
    assert len(endless) == 2
    assert all(each.startswith("it would have waited forever: the task ") for each in endless)
    assert all(each.endswith("wait_in_vain: await event.wait()") for each in endless)


def test_a_shield_keeps_nobody_from_being_ended() -> None:
    assert forced(shielded=True)[1] == DEADLOCK_TIMEOUT


# If these tasks could not be ended, they would keep the tests from ending, so each runs in a process of its own. Each
# is a scenario that is cancelled everywhere, and whose violation is printed.

NEVER_ENDING = """
import trio
from contextlib import suppress
from trichat.testing import Violation, cancel_everywhere

{scenario}

try:
    cancel_everywhere(scenario)
except Violation as violation:
    print(violation)
"""

CATCHES_EVERYTHING = """
async def poll(served):
    while not served.is_set():
        with suppress(BaseException):
            await trio.sleep(1)

async def scenario():
    served = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll, served)
        await trio.sleep(0.5)
        served.set()
"""

CATCHES_ITS_CANCELLATION = CATCHES_EVERYTHING.replace("suppress(BaseException)", "suppress(trio.Cancelled)")

DEADLOCK = """
async def say_goodbye(lock):
    async with lock:
        pass

async def scenario():
    try:
        await trio.sleep(1)
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            lock = trio.Lock()
            async with lock, trio.open_nursery() as nursery:
                nursery.start_soon(say_goodbye, lock)
        raise
"""

KEPT_LOCK = """
from trichat.testing import part

async def move(lock):
    await lock.acquire()
    await trio.sleep(1)
    lock.release()

async def scenario():
    lock = trio.Semaphore(1)
    with part("move"):
        await move(lock)
    await move(lock)
"""

STARTED_FROM_TRIO = """
async def scenario():
    try:
        await trio.sleep(1)
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
        raise
"""


BESIDE_A_CLOCK = """
async def tick():
    while True:
        await trio.sleep(1)

async def wait_in_vain(event):
    await event.wait()

async def scenario():
    try:
        await trio.sleep(1)
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick)
                nursery.start_soon(wait_in_vain, trio.Event())
        raise
"""


@pytest.mark.parametrize(
    ("scenario", "named"),
    [
        pytest.param(CATCHES_EVERYTHING, "poll", id="a loop that catches everything"),
        pytest.param(CATCHES_ITS_CANCELLATION, "poll", id="a loop that catches its cancellation"),
        pytest.param(DEADLOCK, "say_goodbye", id="a deadlock"),
        pytest.param(KEPT_LOCK, "move", id="a lock that was kept by a part that was cancelled"),
        pytest.param(STARTED_FROM_TRIO, "sleep_forever", id="a task that is all Trio's code"),
        pytest.param(BESIDE_A_CLOCK, "wait_in_vain", id="beside a task that does something every second"),
    ],
)
def test_what_never_ends_is_ended_and_reported_in_reasonable_time(scenario: str, named: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NEVER_ENDING.format(scenario=scenario)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "TrioInternalError" not in ended.stderr
    assert ended.stderr == ""
    assert "what was cancelled ended soon: BROKEN" in ended.stdout
    assert named in ended.stdout
