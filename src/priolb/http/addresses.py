"""IP addresses as numbers: read from what peers and proxies say, and looked up among networks.

Requests come from any number of addresses, of which a memory of a bounded size holds but few. So nothing is
remembered of them: to read an address and to find its network is cheap enough to be done for each request.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

IPV4_BITS: Final = 32
IPV6_BITS: Final = 128

# Those of one host: an address of IPv4, or a /64 of IPv6, as one host mostly has all of it.
_HOST_IPV6_BITS: Final = 64
# RFC 4291, section 2.5.5.2: an address of IPv4 as one of IPv6.
_MAPPED: Final = 0xFFFF
_MAX_BYTES: Final = 64
# The only spellings that RFC 3986, section 3.2.2, allows, and so do those who read addresses.
_OCTETS: Final[dict[bytes, int]] = {b"%d" % octet: octet for octet in range(256)}


class Address:
    """An IP address; one of IPv6 that stands for one of IPv4 is that one.

    Args:
        number: its bits.
        bits: how many those are, IPV4_BITS or IPV6_BITS.
        host: the host that it belongs to: itself as text, or the /64 of IPv6 that it is in.
    """

    __slots__ = ("bits", "host", "number")

    def __init__(self, number: int, bits: int, host: bytes) -> None:
        self.number = number
        self.bits = bits
        self.host = host

    def network(self, ipv4_bits: int, ipv6_bits: int) -> bytes:
        """Return the network that it is in, as `192.0.2.0/24`.

        Args:
            ipv4_bits: length of the prefix of an IPv4 address.
            ipv6_bits: length of the prefix of an IPv6 address.
        """
        bits = ipv4_bits if self.bits == IPV4_BITS else ipv6_bits
        rest = self.bits - bits
        return b"%s/%d" % (_text(self.number >> rest << rest, self.bits).encode(), bits)

    def __str__(self) -> str:
        return _text(self.number, self.bits)


class Networks:
    """Networks, of which the smallest one around an address is found.

    Args:
        networks: the networks.

    One table for each length of prefix that occurs, longest first: so an address is looked up as often as
    there are lengths, however many networks there are.
    """

    __slots__ = ("_ipv4", "_ipv6")

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._ipv4: list[tuple[int, dict[int, int]]] = _tables(networks, IPV4_BITS)
        self._ipv6: list[tuple[int, dict[int, int]]] = _tables(networks, IPV6_BITS)

    def around(self, address: Address | None) -> int:
        """Return the index of the smallest network that an address is in, -1 when it is in none."""
        if address is None:
            return -1
        number = address.number
        for rest, indexes in self._ipv4 if address.bits == IPV4_BITS else self._ipv6:
            index = indexes.get(number >> rest)
            if index is not None:
                return index
        return -1


def address_of(text: bytes) -> Address | None:
    """Return the address that a text spells, with or without a zone (RFC 4007); None when it spells none."""
    if len(text) > _MAX_BYTES:
        return None
    if b"%" in text:
        text = text[: text.index(b"%")]
    return _ipv6(text) if b":" in text else _ipv4(text)


def _ipv4(text: bytes) -> Address | None:
    octets = text.split(b".")
    if len(octets) != 4:
        return None
    number = 0
    for octet in octets:
        value = _OCTETS.get(octet)
        if value is None:
            return None
        number = number << 8 | value
    return Address(number, IPV4_BITS, text)


def _ipv6(text: bytes) -> Address | None:
    try:
        number = int(IPv6Address(text.decode()))
    except ValueError:
        return None
    if number >> IPV4_BITS == _MAPPED:
        number &= (1 << IPV4_BITS) - 1
        return Address(number, IPV4_BITS, _text(number, IPV4_BITS).encode())
    prefix = number >> _HOST_IPV6_BITS
    groups = [prefix >> 48, prefix >> 32 & 0xFFFF, prefix >> 16 & 0xFFFF, prefix & 0xFFFF]
    while groups and not groups[-1]:
        groups.pop()
    # Of a /64 the last four groups are zeros, so no other run of them is longer (RFC 5952, section 4.2.3).
    return Address(number, IPV6_BITS, b"%s::/64" % b":".join([b"%x" % group for group in groups]))


def _text(number: int, bits: int) -> str:
    return str(IPv4Address(number) if bits == IPV4_BITS else IPv6Address(number))


def _tables(networks: Sequence[IPv4Network | IPv6Network], bits: int) -> list[tuple[int, dict[int, int]]]:
    """Return the tables of the networks whose addresses have so many bits.

    Each is how many bits of an address are behind its prefixes, and the indexes of the networks by prefix.
    """
    tables: dict[int, dict[int, int]] = {}
    for index, network in enumerate(networks):
        if network.max_prefixlen == bits:
            rest = bits - network.prefixlen
            # Of two that are the same the first counts.
            tables.setdefault(rest, {}).setdefault(int(network.network_address) >> rest, index)
    return sorted(tables.items())
