"""The state machine of hypothesis: what it finds in a server that breaks its promises, and how it reports that."""

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from trichat import Message, hookimpl
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat.testing import ChatMachine, Run

SETTINGS = hypothesis.settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate],
)


def run(machine: type[ChatMachine]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)


class Recorder:
    """Keeps what is said, for an invariant of the test."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @hookimpl
    def on_message(self, message: Message) -> None:
        self.said.append(message.text)


def nobody_says_hello(run: Run) -> None:
    """Nobody says hello."""
    assert run.chat is not None
    recorder: Any = run.chat.plugins["recorder"]
    assert "hello" not in recorder.said


class Polite(ChatMachine):
    plugins = (Recorder,)
    lines = st.sampled_from(["hello", "good day"])
    invariants_of_its_own = (nobody_says_hello,)


def test_a_server_with_nothing_but_its_own_plugins_keeps_its_promises() -> None:
    run(ChatMachine)


class Busy(ChatMachine):
    """Few names and rooms, so that people meet."""

    names = st.sampled_from(["alice", "bob"])
    rooms = st.sampled_from(["lobby", "dev"])


def test_a_server_that_lets_nobody_out_of_a_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = Hub.leave

    def leave_at_the_end(hub: Hub, connection: Connection, room: str) -> None:
        if connection.ended:
            leave(hub, connection, room)

    monkeypatch.setattr(Hub, "leave", leave_at_the_end)
    with pytest.raises(AssertionError, match=r"was in .*, and heard"):
        run(Busy)


def test_a_server_that_gives_a_name_to_a_second_person_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "hold", lambda *_: True)
    with pytest.raises(AssertionError, match="has the name"):
        run(Busy)


def test_an_invariant_of_its_own_is_looked_at_when_the_server_has_stopped() -> None:
    with pytest.raises(AssertionError, match="hello"):
        run(Polite)


def test_a_plugin_that_is_an_instance_is_refused() -> None:
    class Used(ChatMachine):
        plugins = (Recorder(),)

    with pytest.raises(TypeError, match="would carry its state from one run into the next"):
        run(Used)


def test_it_is_there_only_for_those_who_ask_for_it() -> None:
    import trichat.testing

    assert trichat.testing.ChatMachine is ChatMachine
    with pytest.raises(AttributeError, match="has no attribute 'ChatMachin'"):
        trichat.testing.ChatMachin  # noqa: B018
