"""People: a name, and the connections that share it."""

import pytest

from trichat.testing import Chat


async def test_a_client_and_its_person_know_each_other(chat: Chat) -> None:
    alice = await chat.join("alice")
    [client] = chat.server.clients
    person = client.person
    assert (person.name, person.rooms, person.clients, str(person)) == ("alice", ("lobby",), [client], "alice")
    assert chat.server.members() == [person]
    assert repr(person) == "<Person alice>"
    person.send("one\ntwo")
    await alice.hears("* one", "* two")
    person.kick("enough")
    assert await alice.rest() == ["* enough"]
    assert person.clients == []


@pytest.mark.parametrize("name", ["alice", " ALICE", "\u0430lice"])
async def test_somebody_is_found_by_each_name_that_nobody_else_could_take(chat: Chat, name: str) -> None:
    await chat.join("alice")
    found = chat.server.find(name)
    assert found is not None
    assert found.name == "alice"


@pytest.mark.parametrize("name", ["bob", "", "a:b"])
async def test_nobody_is_found_by_another_name(chat: Chat, name: str) -> None:
    await chat.join("alice")
    assert chat.server.find(name) is None
