"""The end of a session: nothing that somebody else waits for holds it up, and everybody learns of it once."""

from collections.abc import Sequence

import pytest
import trio

from trichat import Client, Message, Refuse, hookimpl
from trichat._chat.core import CLIENTS_SHARE
from trichat.testing import running
from trichat.testing._chat.chat import Tables

pytestmark = pytest.mark.usefixtures("virtual_time")

REFUSED = "10.0.0.7"


class Doorman:
    """Refuses an address, and records who it was told has left, and when."""

    def __init__(self) -> None:
        self.left: list[tuple[str, float]] = []

    @hookimpl
    def on_connect(self, client: Client) -> Refuse | None:
        return Refuse("not you") if client.address == REFUSED else None

    @hookimpl
    def on_disconnect(self, client: Client) -> None:
        self.left.append((client.name or client.address, trio.current_time()))


class Slow:
    """Takes its time for what alice says, and for everyone who leaves."""

    def __init__(self, *, saying: float = 0, leaving: float = 0) -> None:
        self.saying = saying
        self.leaving = leaving

    @hookimpl
    async def on_broadcast(self, messages: Sequence[Message]) -> None:
        if any(message.kind == "said" for message in messages):
            await trio.sleep(self.saying)

    @hookimpl
    async def on_disconnect(self) -> None:
        await trio.sleep(self.leaving)


async def test_a_stop_does_not_wait_for_a_plugin_that_was_told_before_that_somebody_left() -> None:
    config: Tables = {"plugins": {"slow": {"hook_timeout": 600}}}
    async with running({"slow": Slow(leaving=500)}, config) as chat:
        alice = await chat.join("alice")
        alice.hang_up()
        await chat.settled()
        begun = trio.current_time()
        chat.server.stop()
    assert trio.current_time() - begun <= CLIENTS_SHARE * chat.server.options.shutdown_timeout


async def test_who_spoke_last_is_gone_after_send_timeout_although_a_plugin_holds_the_fan_out_up() -> None:
    doorman = Doorman()
    config: Tables = {"server": {"send_timeout": 2}, "plugins": {"slow": {"hook_timeout": 600}}}
    async with running({"doorman": doorman, "slow": Slow(saying=500)}, config) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        await chat.settled()
        begun = trio.current_time()
        alice.hang_up()
        await trio.sleep(3)
        assert doorman.left == [("alice", begun + 2)]
        assert chat.server.members() == []


async def test_who_has_given_no_name_waits_for_no_fan_out() -> None:
    doorman = Doorman()
    config: Tables = {"plugins": {"slow": {"hook_timeout": 600}}}
    async with running({"doorman": doorman, "slow": Slow(saying=500)}, config) as chat:
        alice = await chat.join("alice")
        await alice.say("hello")
        guest = await chat.connect("10.0.0.8")
        guest.hang_up()
        await chat.settled()
        assert doorman.left == [("10.0.0.8", trio.current_time())]


async def test_who_found_no_place_is_nobody_who_left(caplog: pytest.LogCaptureFixture) -> None:
    doorman = Doorman()
    async with running({"doorman": doorman}, {"server": {"max_clients": 1}}) as chat:
        alice = await chat.join("alice")
        late = chat.connect_silently()
        assert await late.rest() == ["* refused: the server is full (1 clients)"]
        late.hang_up()
        await chat.settled()
        assert doorman.left == []
        assert "error" not in caplog.text
        alice.hang_up()
        await chat.settled()
        await chat.join("bob")


async def test_who_was_refused_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running({"doorman": Doorman()}) as chat:
        caplog.clear()
        caplog.set_level("INFO")
        eve = chat.connect_silently(REFUSED)
        assert await eve.rest() == ["* refused: not you"]
        eve.hang_up()
        await chat.settled()
        lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"{REFUSED} refused: not you"
    assert [line for line in lines if REFUSED in line or "error" in line] == lines[:1]
