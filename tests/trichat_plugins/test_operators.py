"""The plugin `operators`: people who connect from an address in `operators` of `[server]` may operate."""

from collections.abc import Sequence

import pytest
from client_kit import OTHER_FRONT, new_client
from trichat_plugins.operators import Operators

from trichat import Config, Server, load_plugins
from trichat.testing import running


def server_of(networks: Sequence[str]) -> Server:
    config = Config.from_tables({"server": {"operators": networks}})
    return Server(config, plugins={"operators": Operators()}, listeners=[])


@pytest.mark.parametrize(
    ("networks", "address", "is_operator"),
    [
        (["10.0.0.0/24"], "10.0.0.7", True),
        (["10.0.0.0/24"], "127.0.0.1", False),
        (["2001:db8::1"], "2001:db8::1", True),
        ([], "127.0.0.1", False),
        (["0.0.0.0/0", "::/0"], "unix:0", False),
    ],
)
def test_an_operator_is_known_by_the_address(networks: list[str], address: str, is_operator: bool) -> None:
    alice = new_client(server_of(networks), address)
    assert [alice.is_operator, alice.may("kick"), alice.may("kick", "dev")] == [is_operator] * 3


def test_by_default_people_on_this_machine_are_operators() -> None:
    server = Server(plugins={"operators": Operators()}, listeners=[])
    assert [new_client(server, address).is_operator for address in ("127.0.0.1", "::1", "10.0.0.7")] == [
        True,
        True,
        False,
    ]


def test_an_address_gives_no_right_on_another_front() -> None:
    assert not new_client(server_of(["0.0.0.0/0"]), "127.0.0.1", front=OTHER_FRONT).is_operator


@pytest.mark.parametrize("action", ["kick", "stop", "unpaced"])
def test_it_permits_nothing_but_to_operate(action: str) -> None:
    assert Operators().permits(new_client(server_of(["127.0.0.1"])), action) is False


def test_it_is_there_by_default() -> None:
    assert isinstance(load_plugins(Config())["operators"], Operators)


async def test_without_it_nobody_is_an_operator(virtual_time: object) -> None:
    async with running(config={"plugins": {"operators": {"enabled": False}}}) as chat:
        await chat.join("alice")
        assert [client.is_operator for client in chat.server.clients] == [False]
