"""How many connections there are, and how many each peer has."""

from __future__ import annotations

from priolb.http.addresses import address_of
from priolb.http.forwarding import Forwarding


class PeerCount:
    """Counts connections, by peer: an IPv4 address, or a /64 of IPv6, as one host mostly has all of it.

    Args:
        per_peer: most connections of one peer, 0 for no limit; proxies that are trusted have none.
        total: most connections of all together, 0 for no limit.
        forwarding: knows which peers are trusted.
    """

    __slots__ = ("_by_peer", "_count", "_forwarding", "_per_peer", "_total")

    def __init__(self, per_peer: int, total: int, forwarding: Forwarding) -> None:
        self._per_peer = per_peer
        self._total = total
        self._forwarding = forwarding
        self._count: int = 0
        self._by_peer: dict[bytes, int] = {}

    def add(self, address: str) -> bool:
        """Count a connection; False when it is one too many. Each is taken off again by `remove`."""
        self._count += 1
        is_room = not self._total or self._count <= self._total
        if not self._per_peer or not address:
            return is_room
        key = _host_of(address)
        count = self._by_peer[key] = self._by_peer.get(key, 0) + 1
        return is_room and (count <= self._per_peer or self._forwarding.peer(address).is_trusted)

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        self._count -= 1
        if not self._per_peer or not address:
            return
        key = _host_of(address)
        count = self._by_peer[key] - 1
        if count:
            self._by_peer[key] = count
        else:
            del self._by_peer[key]


def _host_of(address: str) -> bytes:
    known = address_of(address.encode())
    assert known is not None
    return known.host
