"""How many connections each peer has."""

from __future__ import annotations

from priolb.http.addresses import address_of
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
        self._counts: dict[bytes, int] = {}

    def add(self, address: str) -> bool:
        """Count a connection; False when it is one too many. Each is taken off again by `remove`."""
        if not self._limit or not address:
            return True
        key = _host_of(address)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count <= self._limit or self._forwarding.peer(address).is_trusted

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        if not self._limit or not address:
            return
        key = _host_of(address)
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]


def _host_of(address: str) -> bytes:
    known = address_of(address.encode())
    assert known is not None
    return known.host
