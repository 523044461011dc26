"""How many connections each peer has."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from priolb.http.forwarding import Forwarding


class PeerCount:
    """Counts connections by peer: an IPv4 address, or a /64 of IPv6, as one host mostly has all of it.

    Args:
        limit: most connections of one peer, 0 for no limit; proxies that are trusted have none.
        forwarding: knows which peers are trusted.
    """

    __slots__ = ("_counts", "_forwarding", "_limit")

    def __init__(self, limit: int, forwarding: Forwarding) -> None:
        self._limit = limit
        self._forwarding = forwarding
        self._counts: dict[str | int, int] = {}

    def add(self, address: str) -> bool:
        """Count a connection; False when it is one too many. Each is taken off again by `remove`."""
        if not self._limit or not address:
            return True
        key = network_of(address)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count <= self._limit or self._forwarding.peer(address).is_trusted

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        if not self._limit or not address:
            return
        key = network_of(address)
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]


def network_of(address: str) -> str | int:
    """Return what stands for the network of one host: its IPv4 address, or its /64 of IPv6."""
    if ":" not in address:
        return address
    known = ip_address(address.partition("%")[0])
    assert isinstance(known, IPv6Address)
    return str(known.ipv4_mapped) if known.ipv4_mapped else int(known) >> 64
