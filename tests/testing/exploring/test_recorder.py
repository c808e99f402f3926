"""The witness: it records clients, and messages batch by batch."""

import pytest

from trichat.testing import Chat, Witness


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def chat_plugins(witness: Witness) -> list[object]:
    return [witness]


async def test_it_counts_who_comes_and_goes(chat: Chat, witness: Witness) -> None:
    alice = await chat.join("alice")
    assert list(witness.connected.values()) == [1]
    assert not witness.disconnected
    alice.hang_up()
    await chat.settled()
    assert witness.disconnected == witness.connected


async def test_it_keeps_what_was_sent_in_the_batches_in_which_it_was(chat: Chat, witness: Witness) -> None:
    alice = await chat.join("alice")
    await alice.say("one", "two")
    await chat.settled()
    sent = [(message.kind, message.text or message.sentence()) for message in witness.sent]
    assert sent == [("joined", "alice joined"), ("said", "one"), ("said", "two")]
    assert [message for batch in witness.batches for message in batch] == witness.sent
    assert len(witness.batches) >= 2
