"""A service that outlasts the block that uses it."""

import pytest
import trio

from trichat import StartError
from trichat._base.failures import one_for_all
from trichat._base.shielded_service import shielded_service


class Echo:
    """A service that answers until it is stopped, and then takes some time to end."""

    def __init__(self, *, time_to_end: float = 0) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[str, trio.MemorySendChannel[str]]](0)
        self._time_to_end = time_to_end
        self.ended = "not yet"

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        self.ended = "cancelled"
        async for text, answer in self._receive:
            await answer.send(text)
        await trio.sleep(self._time_to_end)
        self.ended = "by itself"

    def stop(self) -> None:
        self._send.close()

    async def ask(self, text: str) -> str:
        answer, answered = trio.open_memory_channel[str](1)
        await self._send.send((text, answer))
        return await answered.receive()


async def test_the_service_runs_around_the_block() -> None:
    echo = Echo()
    async with shielded_service(echo.run, echo.stop, grace=1):
        assert await echo.ask("are you there?") == "are you there?"
    assert echo.ended == "by itself"


async def test_the_service_is_shielded_from_what_cancels_the_block_until_that_has_cleaned_up() -> None:
    echo = Echo()
    heard = ""
    with trio.CancelScope() as scope:
        async with shielded_service(echo.run, echo.stop, grace=1):
            scope.cancel()
            try:
                await trio.sleep_forever()
            finally:
                with trio.move_on_after(1, shield=True):
                    heard = await echo.ask("still there?")
    assert heard == "still there?"
    assert scope.cancelled_caught
    assert echo.ended == "by itself"


async def test_the_service_is_cancelled_when_its_grace_is_over(virtual_time: object) -> None:
    echo = Echo(time_to_end=9)
    async with shielded_service(echo.run, echo.stop, grace=2):
        stopped = trio.current_time()
    assert echo.ended == "cancelled"
    assert trio.current_time() - stopped == pytest.approx(2)


async def test_the_grace_begins_when_the_block_ends(virtual_time: object) -> None:
    echo = Echo(time_to_end=1)
    with trio.CancelScope() as scope:
        async with shielded_service(echo.run, echo.stop, grace=2):
            scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(60)
    assert echo.ended == "by itself"


async def test_a_service_that_ends_at_once_is_not_waited_for(virtual_time: object) -> None:
    echo = Echo()
    before = trio.current_time()
    async with shielded_service(echo.run, echo.stop, grace=60):
        pass
    assert trio.current_time() == before


async def test_an_error_in_the_block_comes_out_after_the_service_ended() -> None:
    echo = Echo()
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="oops")):
        async with shielded_service(echo.run, echo.stop, grace=1):
            raise ValueError("oops")
    assert echo.ended == "by itself"


async def test_a_service_that_fails_ends_the_block() -> None:
    fail = trio.Event()
    after_the_failure = False

    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await fail.wait()
        raise ValueError("oops")

    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="oops")):
        async with shielded_service(service, lambda: None, grace=1):
            fail.set()
            await trio.sleep_forever()
            after_the_failure = True
    assert not after_the_failure


async def test_a_service_that_cannot_start_keeps_the_block_from_running() -> None:
    entered = False

    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.lowlevel.checkpoint()
        raise StartError("no")

    with pytest.raises(StartError, match="no"), one_for_all():
        async with shielded_service(service, lambda: None, grace=1):
            entered = True
    assert not entered


class Slow:
    """A service that needs a second to start, whatever happens meanwhile, and `time_to_end` seconds to end."""

    def __init__(self, *, time_to_end: float = 0) -> None:
        self._stopped = trio.Event()
        self._time_to_end = time_to_end
        self.ended = "not yet"

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.ended = "cancelled"
        await trio.sleep(1)
        task_status.started()
        await self._stopped.wait()
        await trio.sleep(self._time_to_end)
        self.ended = "by itself"

    def stop(self) -> None:
        self._stopped.set()


@pytest.mark.parametrize(("time_to_end", "ended"), [(1, "by itself"), (9, "cancelled")])
async def test_a_service_whose_start_is_cancelled_is_stopped_and_has_its_grace(
    virtual_time: object, time_to_end: float, ended: str
) -> None:
    slow = Slow(time_to_end=time_to_end)
    with trio.move_on_after(0.5) as scope:
        async with shielded_service(slow.run, slow.stop, grace=2):
            pytest.fail("it was cancelled before")
    assert scope.cancelled_caught
    assert slow.ended == ended


async def test_a_service_does_not_notice_a_cancellation_right_after_its_start() -> None:
    noticed = True

    async def service(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal noticed
        task_status.started()
        scope.cancel()  # before the block has had a turn
        await trio.lowlevel.checkpoint_if_cancelled()
        noticed = False

    with trio.CancelScope() as scope:
        async with shielded_service(service, lambda: None, grace=1):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not noticed
