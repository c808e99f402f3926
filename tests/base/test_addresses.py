"""Addresses and networks, as configurations name them."""

import re
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trichat import Network, Networks
from trichat._base.addresses import canonical_address


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("192.168.4.0/24", "192.168.4.0"),
        ("192.168.4.0/24", "192.168.4.255"),
        ("0.0.0.0/0", "203.0.113.9"),
        ("::1", "::1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("2001:db8::/32", "2001:db8:ffff::1"),
        ("::/0", "2001:db8::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("10.0.0.7", "::ffff:10.0.0.7"),
        ("10.0.0.0/8", "::ffff:a01:203"),
    ],
)
def test_an_address_is_in_its_network(network: str, address: str) -> None:
    assert address in Network(network)


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.7", "10.0.0.8"),
        ("192.168.4.0/24", "192.168.5.0"),
        ("192.168.4.0/24", "192.168.3.255"),
        ("0.0.0.0/0", "::1"),
        ("::/0", "127.0.0.1"),
        ("::/0", "::ffff:127.0.0.1"),
        ("::1", "::2"),
        ("10.0.0.7", "::ffff:10.0.0.8"),
    ],
)
def test_an_address_is_not_in_another_network(network: str, address: str) -> None:
    assert address not in Network(network)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/32", "10.0.0.7"),
        ("192.168.4.0/24", "192.168.4.0/24"),
        ("192.168.4.0/255.255.255.0", "192.168.4.0/24"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::1/128", "::1"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_a_network_is_shown_in_its_usual_form(text: str, shown: str) -> None:
    assert str(Network(text)) == shown
    assert repr(Network(text)) == f"Network({shown!r})"


@pytest.mark.parametrize("text", ["10.0.0.7", "192.168.4.0/24", "::1", "2001:db8::/32"])
def test_what_is_shown_can_be_read_again(text: str) -> None:
    assert Network(str(Network(text))) == Network(text)


def test_two_names_of_one_network_are_equal() -> None:
    assert Network("10.0.0.7/32") == Network("10.0.0.7")
    assert len({Network("::1"), Network("0:0:0:0:0:0:0:1"), Network("10.0.0.0/8")}) == 2


@pytest.mark.parametrize("other", [Network("10.0.0.8"), Network("10.0.0.0/24"), "10.0.0.7", None])
def test_a_network_is_not_equal_to_anything_else(other: object) -> None:
    assert Network("10.0.0.7") != other


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'' is not an IP address or network"),
        ("example.org", "'example.org' is not an IP address or network"),
        ("10.0.0", "'10.0.0' is not an IP address or network"),
        ("10.0.0.256", "'10.0.0.256' is not an IP address or network"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not an IP address or network"),
        ("10.0.0.7 ", "'10.0.0.7 ' is not an IP address or network"),
        ("10.0.0.07", "'10.0.0.07' is not an IP address or network"),
        ("10.0.0.7/24", "'10.0.0.7/24' has bits beyond its prefix; the network is '10.0.0.0/24'"),
        ("2001:db8::1/32", "'2001:db8::1/32' has bits beyond its prefix; the network is '2001:db8::/32'"),
    ],
)
def test_anything_else_is_refused_and_quoted(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        Network(text)


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("::192.0.2.1", "::c000:201"),
    ],
)
def test_one_host_has_one_address(address: str, canonical: str) -> None:
    assert canonical_address(address) == canonical


@given(st.ip_addresses())
def test_a_canonical_address_is_in_the_network_of_itself(address: object) -> None:
    canonical = canonical_address(str(address))

    assert canonical_address(canonical) == canonical
    assert canonical in Network(canonical)


# What the other side of a connection may be called if it has no IP address.
OTHERS = ["unix:1000", "memory", "localhost", "10.0.0.0/8", "127.0.0.1:1024", "127.0.0.1%eth0", "::1 ", "%eth0", ""]


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_not_an_ip_address_stays_as_it_is(text: str) -> None:
    assert canonical_address(text) == text


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "127.0.0.0/8", "::1"])
def test_what_is_not_an_ip_address_is_in_no_network(text: str, network: str) -> None:
    assert text not in Network(network)
    assert Networks([Network(network)]).find(text) is None


@given(st.text(), st.integers(0, 32))
def test_any_text_can_be_looked_up(text: str, bits: int) -> None:
    network = Network(str(ip_network(f"10.0.0.7/{bits}", strict=False)))
    assert (text in network) is (Networks([network]).find(text) is not None)


@pytest.mark.parametrize("text", ["::ffff:10.0.0.7", "::ffff:10.0.0.0/104", "10.0.0.0/8"])
def test_ipv4_in_ipv6_is_ipv4_in_a_network_and_in_an_address(text: str) -> None:
    assert "10.0.0.7" in Network(text)
    assert "::ffff:10.0.0.7" in Network(text)
    assert "11.0.0.7" not in Network(text)


LISTED = ["10.0.0.0/8", "10.0.0.7", "192.168.4.0/24", "::ffff:11.0.0.0/104", "2001:db8::/32", "2001:db8::7"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.8", "10.0.0.0/8"),
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("192.168.4.255", "192.168.4.0/24"),
        ("192.168.5.0", None),
        ("11.1.2.3", "11.0.0.0/8"),
        ("2001:db8::7%eth0", "2001:db8::7"),
        ("2001:db8:ffff::1", "2001:db8::/32"),
        ("::a00:7", None),
    ],
)
def test_of_many_networks_the_smallest_is_found(address: str, network: str | None) -> None:
    assert Networks(map(Network, LISTED)).find(address) == (network and Network(network))


def test_among_no_networks_none_is_found() -> None:
    assert Networks().find("10.0.0.7") is None


@given(st.lists(st.ip_addresses(), max_size=5), st.integers(0, 32), st.ip_addresses())
def test_an_address_is_found_where_it_is_in_one_of_them(addresses: list[object], bits: int, address: object) -> None:
    networks = [Network(str(ip_network(f"{each}/{bits}", strict=False))) for each in addresses]
    found = Networks(networks).find(str(address))
    assert (found is not None) == any(str(address) in each for each in networks)
    assert found is None or str(address) in found


class Counted(dict[int, Network]):
    """Counts how often it is looked into."""

    looks = 0

    def get(self, *arguments: Any) -> Any:
        Counted.looks += 1
        return super().get(*arguments)


def test_a_look_up_takes_no_longer_among_more_networks_of_the_same_length() -> None:
    networks = Networks(Network(f"11.{number // 256}.{number % 256}.0/24") for number in range(1000))
    networks._by_prefix = {prefix: Counted(found) for prefix, found in networks._by_prefix.items()}
    assert networks.find("127.0.0.1") is None
    assert Counted.looks == 1
