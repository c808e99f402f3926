"""Addresses and networks, as configurations name them.

The other side of a connection may have no IP address, as with a Unix socket. Its address is then any other text, which
is in no network.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class Network:
    """An address (`10.0.0.7`, `::1`) or a network (`192.168.4.0/24`). Raises `ValueError` for anything else.

    `address in network` is false if the address is not an IP address, like that of a Unix socket's client.
    """

    def __init__(self, text: str) -> None:
        try:
            network = ip_network(text)
        except ValueError:
            raise ValueError(_complaint(text)) from None
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        # A client that connects by IPv4 in IPv6 is known by its IPv4 address, so a network has to be, too.
        self._network = ip_network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network

    def __contains__(self, address: str) -> bool:
        found = _ip_address(address)
        return found is not None and found in self._network

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self._network == other._network

    def __hash__(self) -> int:
        return hash(self._network)

    def __str__(self) -> str:
        single = self._network.prefixlen == self._network.max_prefixlen
        return str(self._network.network_address if single else self._network)

    def __repr__(self) -> str:
        return f"Network({str(self)!r})"


LOOPBACK: tuple[Network, ...] = (Network("127.0.0.0/8"), Network("::1"))
"""The addresses from which only programs on this machine can connect."""


class Networks:
    """Any number of networks. Looking up an address among many is as quick as among few.

    An address that is not an IP address is in none of them.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        found: dict[tuple[int, int], dict[int, Network]] = {}
        for each in networks:
            network = each._network
            beyond = network.max_prefixlen - network.prefixlen
            found.setdefault((network.version, beyond), {})[int(network.network_address) >> beyond] = each
        # The networks by prefix, for each prefix length. There are at most 162 lengths; the longest comes first.
        self._by_prefix = dict(sorted(found.items()))

    def find(self, address: str) -> Network | None:
        """Return the smallest of the networks that `address` is in, or `None`."""
        wanted = _ip_address(address)
        if wanted is None:
            return None
        version, number = wanted.version, int(wanted)
        for (of_version, beyond), networks in self._by_prefix.items():
            if of_version == version and (network := networks.get(number >> beyond)) is not None:
                return network
        return None


def canonical_address(text: str) -> str:
    """Return an IP address in its usual form: without a scope, and as IPv4 if an IPv6 socket wrapped it.

    A text that is not an IP address is returned as it is.
    """
    return str(_ip_address(text) or text)


@lru_cache(maxsize=1024)  # thousands may connect at once, from few addresses
def _ip_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without its scope
    return address


def _complaint(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is not an IP address or network"
    return f"{text!r} has bits beyond its prefix; the network is '{meant}'"
