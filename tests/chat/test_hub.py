"""The hub: its clients, their names and their rooms."""

import pytest
from client_kit import FRONT, WIRE, new_connection

from trichat import Message
from trichat._chat.client import Connection
from trichat._chat.hub import Hub
from trichat._fronts.line.front import LineFront


def connection(address: str = "10.0.0.1") -> Connection:
    """Return a client with this address. It needs no server, because the hub does not use it."""
    return new_connection(address=address)


@pytest.fixture
def hub() -> Hub:
    return Hub(max_clients=3, max_clients_per_address=2)


def test_clients_are_admitted_until_the_server_is_full(hub: Hub) -> None:
    assert [hub.admit(connection(f"10.0.0.{host}")) for host in range(3)] == [None, None, None]

    assert hub.admit(connection("10.0.0.9")) == "the server is full (3 clients)"


def test_an_address_is_admitted_until_it_has_enough(hub: Hub) -> None:
    assert [hub.admit(connection("10.0.0.1")) for _ in range(2)] == [None, None]

    assert hub.admit(connection("10.0.0.1")) == "too many connections from 10.0.0.1 (2)"
    assert hub.admit(connection("10.0.0.2")) is None


def test_a_client_that_was_dismissed_makes_room(hub: Hub) -> None:
    first, *_ = clients = [connection(f"10.0.0.{host}") for host in range(3)]
    for client in clients:
        hub.admit(client)

    hub.dismiss(first)

    assert hub.admit(connection("10.0.0.9")) is None
    assert hub.admit(connection("10.0.0.8")) == "the server is full (3 clients)"


def test_a_client_that_was_dismissed_makes_room_at_its_address(hub: Hub) -> None:
    first, second = connection("10.0.0.1"), connection("10.0.0.1")
    hub.admit(first)
    hub.admit(second)

    hub.dismiss(second)

    assert hub.admit(connection("10.0.0.1")) is None
    assert hub.admit(connection("10.0.0.1")) == "too many connections from 10.0.0.1 (2)"


def test_who_was_not_admitted_takes_no_place(hub: Hub) -> None:
    first = connection("10.0.0.1")
    hub.admit(first)
    hub.admit(connection("10.0.0.1"))
    for _ in range(5):
        assert hub.admit(connection("10.0.0.1")) is not None

    hub.dismiss(first)

    assert hub.admit(connection("10.0.0.1")) is None
    assert hub.admit(connection("10.0.0.2")) is None


def test_all_can_come_again_when_all_have_gone(hub: Hub) -> None:
    for _ in range(3):
        clients = [connection("10.0.0.1"), connection("10.0.0.1"), connection("10.0.0.2")]
        assert [hub.admit(client) for client in clients] == [None, None, None]
        for client in clients:
            hub.dismiss(client)


def test_a_name_that_is_free_is_given(hub: Hub) -> None:
    client = connection()

    assert hub.claim(client, "Alice")
    assert client.name == "Alice"


@pytest.mark.parametrize(
    ("name", "alike"),
    [("alice", "alice"), ("alice", "ALICE"), ("Zoë", "ZOË"), ("Ζωης", "ΖΩΗΣ"), ("alice", "\u0430lice")],
)
def test_a_name_that_looks_like_a_taken_one_is_not_given(hub: Hub, name: str, alike: str) -> None:
    alice, mallory = connection(), connection()
    hub.claim(alice, name)

    assert not hub.claim(mallory, alike)
    assert mallory.name == ""
    assert alice.name == name


def test_two_clients_may_have_two_names(hub: Hub) -> None:
    assert hub.claim(connection(), "alice")
    assert hub.claim(connection(), "bob")


def test_a_client_may_write_its_own_name_in_another_way(hub: Hub) -> None:
    client = connection()
    hub.claim(client, "alice")

    assert hub.claim(client, "Alice")
    assert client.name == "Alice"


def test_a_client_that_changes_its_name_gives_up_the_first(hub: Hub) -> None:
    client = connection()
    hub.claim(client, "alice")

    assert hub.claim(client, "bob")
    assert hub.find("alice") is None
    assert hub.find("bob") is client.presence


def test_a_client_that_asks_for_its_own_name_keeps_it(hub: Hub) -> None:
    client = connection()
    hub.claim(client, "alice")

    assert hub.claim(client, "alice")
    assert hub.find("alice") is client.presence


@pytest.mark.parametrize("text", ["alice", " ALICE ", "\uff41lice", "\u0430lice", "alice\U0001d159"])
def test_a_client_is_found_by_any_name_that_it_keeps_others_from_taking(hub: Hub, text: str) -> None:
    client = connection()
    hub.claim(client, "alice")

    assert hub.find(text) is client.presence


@pytest.mark.parametrize("text", ["bob", "alicia", "", "alice: hello", "al\u200bice", "x" * 10_000])
def test_nobody_is_found_by_another_name_or_by_what_cannot_be_one(hub: Hub, text: str) -> None:
    hub.claim(connection(), "alice")

    assert hub.find(text) is None


def test_a_name_that_was_released_is_free(hub: Hub) -> None:
    alice = connection()
    hub.claim(alice, "alice")

    hub.release(alice)

    assert hub.claim(connection(), "ALICE")


def test_releasing_again_does_not_take_the_name_from_the_next_one(hub: Hub) -> None:
    old, new = connection(), connection()
    hub.claim(old, "alice")
    hub.release(old)
    hub.claim(new, "alice")

    hub.release(old)

    assert not hub.claim(connection(), "alice")


def test_a_client_without_a_name_releases_nothing(hub: Hub) -> None:
    hub.claim(connection(), "alice")

    hub.release(connection())

    assert not hub.claim(connection(), "alice")


def test_members_are_in_the_order_of_joining(hub: Hub) -> None:
    clients = [connection() for _ in range(5)]
    for client in clients:
        hub.enter(client, "lobby")

    assert hub.members("lobby") == [client.presence for client in clients]
    assert [client.room for client in clients] == ["lobby"] * 5


def test_who_comes_back_is_last(hub: Hub) -> None:
    alice, bob = connection(), connection()
    hub.enter(alice, "lobby")
    hub.enter(bob, "lobby")

    hub.leave(alice, "lobby")
    hub.enter(alice, "lobby")

    assert hub.members("lobby") == [bob.presence, alice.presence]


def test_who_left_is_no_member(hub: Hub) -> None:
    alice, bob = connection(), connection()
    hub.enter(alice, "lobby")
    hub.enter(bob, "lobby")

    hub.leave(alice, "lobby")

    assert hub.members("lobby") == [bob.presence]
    assert alice.room == ""


def test_rooms_have_their_own_members(hub: Hub) -> None:
    alice, bob = connection(), connection()
    hub.enter(alice, "lobby")
    hub.enter(bob, "den")

    assert hub.members("lobby") == [alice.presence]
    assert hub.members("den") == [bob.presence]


def test_a_room_that_nobody_is_in_has_no_members(hub: Hub) -> None:
    alice = connection()
    assert hub.members("lobby") == []

    hub.enter(alice, "lobby")
    hub.leave(alice, "lobby")

    assert hub.members("lobby") == []


def test_a_client_may_be_in_several_rooms_and_speaks_in_the_last(hub: Hub) -> None:
    alice = connection()
    for room in ("lobby", "den", "kitchen", "den"):
        hub.enter(alice, room)
    assert (alice.rooms, alice.room) == (("lobby", "den", "kitchen"), "den")

    hub.leave(alice, "den")
    assert (alice.rooms, alice.room) == (("lobby", "kitchen"), "kitchen")
    hub.leave(alice, "lobby")
    hub.leave(alice, "kitchen")
    assert (alice.rooms, alice.room) == ((), "")


# A name that changes.


def test_a_name_that_is_held_is_nobody_elses_until_it_is_taken(hub: Hub) -> None:
    alice = connection()
    hub.claim(alice, "alice")

    assert hub.hold(alice.presence, "al")
    assert not hub.claim(connection(), "al")
    assert not hub.claim(connection(), "alice")
    assert alice.name == "alice"

    hub.rename(alice.presence, "al", 1)
    assert (alice.name, hub.find("al")) == ("al", alice.presence)
    assert hub.claim(connection(), "alice")


@pytest.mark.parametrize("name", ["al", "Alice"])
def test_a_name_that_is_let_go_is_free_and_the_present_one_is_kept(hub: Hub, name: str) -> None:
    alice = connection()
    hub.claim(alice, "alice")
    hub.hold(alice.presence, name)

    hub.let_go(alice.presence, name)

    assert hub.find("alice") is alice.presence
    assert hub.claim(connection(), name) == (name == "al")


def test_a_name_of_somebody_who_has_gone_is_free(hub: Hub) -> None:
    alice = connection()
    hub.claim(alice, "alice")
    hub.hold(alice.presence, "al")
    hub.release(alice)

    hub.rename(alice.presence, "al", 1)

    assert alice.presence.name == "al", "what is told of it afterwards has the name that it got"
    assert hub.claim(connection(), "al")
    assert hub.claim(connection(), "alice")


def test_what_concerns_several_rooms_goes_once_to_everyone_who_is_in_one_of_them(hub: Hub) -> None:
    alice, bob, carol = (new_connection() for _ in range(3))
    hub.enter(alice, "lobby")
    hub.enter(bob, "kitchen")
    hub.enter(carol, "den")

    assert (
        hub.audience(("lobby", "kitchen", "lobby", "cellar")).size,
        hub.audience(("lobby", "kitchen", "lobby", "cellar")).groups,
    ) == (2, {WIRE: [alice.outbox, bob.outbox]})
    hub.enter(carol, "kitchen")
    hub.enter(bob, "lobby")
    assert (hub.audience(("kitchen", "lobby")).size, hub.audience(("kitchen", "lobby")).groups) == (
        3,
        {WIRE: [bob.outbox, carol.outbox, alice.outbox]},
    )


def test_what_is_said_in_a_room_goes_to_its_members_by_the_wires_that_they_are_on(hub: Hub) -> None:
    other = LineFront()
    alice, bob, carol = (new_connection(front=front) for front in (FRONT, other, FRONT))
    for client in (alice, bob, carol):
        hub.enter(client, "lobby")

    assert (hub.audience(("lobby",)).size, hub.audience(("lobby",)).groups) == (
        3,
        {WIRE: [alice.outbox, carol.outbox], bob.wire: [bob.outbox]},
    )
    assert hub.audience(("kitchen",)).groups == {}


def test_who_comes_hears_what_is_said_next_and_who_leaves_does_not(hub: Hub) -> None:
    alice, bob = connection(), connection()
    assert hub.audience(("lobby",)).groups == {}

    hub.enter(alice, "lobby")
    assert hub.audience(("lobby",)).groups == {WIRE: [alice.outbox]}
    before = hub.audience(("lobby",))
    hub.enter(bob, "lobby")
    assert hub.audience(("lobby",)).groups == {WIRE: [alice.outbox, bob.outbox]}
    assert before.groups == {WIRE: [alice.outbox]}, "a fan-out iterates over it while clients join and leave"
    hub.leave(alice, "lobby")
    hub.enter(alice, "kitchen")
    assert hub.audience(("lobby",)).groups == {WIRE: [bob.outbox]}
    hub.leave(bob, "lobby")
    assert hub.audience(("lobby",)).groups == {}
    assert hub.audience(("kitchen",)).groups == {WIRE: [alice.outbox]}


def test_what_somebody_says_is_said_under_its_present_name_in_its_present_room(hub: Hub) -> None:
    client = connection()
    hub.claim(client, "alice")
    hub.enter(client, "lobby")
    assert client.draft == Message("", "alice", ("lobby",), bare=True)
    hub.enter(client, "den")
    assert client.draft == Message("", "alice", ("den",), bare=True)
    hub.claim(client, "bob")
    assert client.draft == Message("", "bob", ("den",), bare=True)
    hub.leave(client, "den")
    assert client.draft == Message("", "bob", ("lobby",), bare=True)


def test_rooms_that_nobody_is_in_are_not_kept(hub: Hub) -> None:
    alice = connection()
    hub.enter(alice, "lobby")
    for room in ("lobby", "kitchen"):
        hub.audience((room,))
    hub.leave(alice, "lobby")
    assert not hub._audiences


def test_a_client_that_is_in_no_room_can_leave_all_the_same(hub: Hub) -> None:
    alice, bob = connection(), connection()
    hub.enter(alice, "lobby")

    hub.leave(bob, "lobby")
    hub.leave(alice, "lobby")
    hub.leave(alice, "lobby")

    assert hub.members("lobby") == []


def test_members_do_not_change_while_one_goes_through_them(hub: Hub) -> None:
    alice, bob = connection(), connection()
    hub.enter(alice, "lobby")
    hub.enter(bob, "lobby")

    members = hub.members("lobby")
    hub.leave(alice, "lobby")

    assert members == [alice.presence, bob.presence]
