"""The witness: it records clients, and messages batch by batch."""

import pytest

from trichat._base.name_index import NameIndex
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


async def test_it_keeps_private_lines_with_the_names_of_the_two(chat: Chat, witness: Witness) -> None:
    alice = await chat.join("alice")
    await chat.join("Bob the builder")
    await alice.tell("BOB the builder", "hi")
    assert [tuple(line) for line in witness.told] == [("alice", "Bob the builder", "hi")]


async def test_it_looks_whether_names_lead_to_those_who_have_them(
    chat: Chat, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await chat.join("alice")
    await chat.join("bob")
    await alice.say("one")
    await chat.settled()
    assert witness.confused == []
    monkeypatch.setattr(NameIndex, "claim", lambda *_: True)
    bob = await chat.join("BOB")
    assert witness.confused == ["BOB (127.0.0.1) has the name 'BOB', which leads to <Person bob>"]
    monkeypatch.undo()
    bob.hang_up()
    await chat.settled()
