"""What nodes are told of the way of a request: Via, Forwarded and the X-Forwarded fields.

A proxy in front of this one may say for whom it asks; anybody else who says so is not believed, and what he
claims does not reach a node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from priolb.http.addresses import Address, Networks, address_of
from priolb.http.fields import PROXY_CLAIMS
from priolb.http.messages import RequestHead

_UNKNOWN: Final = b"unknown"  # RFC 7239, section 6.2
# So many peers are remembered by their address; with one more, all are forgotten.
_MAX_REMEMBERED_PEERS: Final = 4096


class Peer:
    """The other end of a client's connection.

    Args:
        address: its address, empty when it has none (a Unix socket).
        node_id: the same as Forwarded spells it (RFC 7239, section 6).
        is_trusted: whether it may say for whom it asks.
        ip: its address as a number, None when it has none.
    """

    __slots__ = ("address", "ip", "is_trusted", "node_id")

    def __init__(self, address: bytes, node_id: bytes, is_trusted: bool, ip: Address | None) -> None:
        self.address = address
        self.ip = ip
        self.node_id = node_id
        self.is_trusted = is_trusted


class Forwarding:
    """What is told to nodes of the way of each request.

    Args:
        name: how this program calls itself in Via, and nobody else does, since it tells loops.
        proto: what clients speak, http or https.
        tells_client: whether nodes are told who the client is: Forwarded, X-Forwarded-For, -Proto and -Host.
        trusted: networks of the proxies that are believed.
    """

    __slots__ = (
        "_last_fields",
        "_last_head",
        "_last_is_rpc",
        "_last_peer",
        "_name",
        "_passed",
        "_peers",
        "_proto",
        "_tells_client",
        "_trusted",
        "_via",
    )

    def __init__(
        self, name: str, proto: str, tells_client: bool, trusted: Sequence[IPv4Network | IPv6Network]
    ) -> None:
        self._name: bytes = name.encode()
        self._proto: bytes = proto.encode()
        self._tells_client = tells_client
        self._trusted: Networks = Networks(trusted)
        self._via: tuple[bytes, bytes] = (b"1.0 " + self._name, b"1.1 " + self._name)
        self._passed = re.compile(rb"(?:^|,)[ \t]*+[^ \t,]++[ \t]++%b(?![^ \t,])" % re.escape(self._name))
        self._peers: dict[str, Peer] = {}
        # What was rendered last: of many connections of one program it is the same, so they share it.
        self._last_head: RequestHead | None = None
        self._last_is_rpc: bool = False
        self._last_peer: Peer | None = None
        self._last_fields: bytes = b""

    def peer(self, address: str) -> Peer:
        """Return what is to know of a peer with this address, empty for none."""
        known = self._peers.get(address)
        if known is None:
            if len(self._peers) >= _MAX_REMEMBERED_PEERS:
                self._peers.clear()
            known = self._peers[address] = self._new_peer(address)
        return known

    def _new_peer(self, address: str) -> Peer:
        if not address:
            return Peer(b"", _UNKNOWN, is_trusted=False, ip=None)
        spelled = address.encode()
        # Without the zone of a link-local address.
        node_id = b'"[%s]"' % spelled.partition(b"%")[0] if b":" in spelled else spelled
        ip = address_of(spelled)
        return Peer(spelled, node_id, self._trusted.around(ip) >= 0, ip)

    def is_loop(self, head: RequestHead) -> bool:
        """Return whether a request has passed this program before (RFC 9110, section 7.6.3)."""
        via = head.known.get(b"via")
        if via is None or self._name not in via:
            return False
        return self._passed.search(via) is not None

    def fields(self, head: RequestHead, is_rpc: bool, peer: Peer) -> bytes:
        """Return the fields of a request as a node shall see them, rendered, without Host and framing.

        Args:
            head: the request's head; what it claims of its way is in what is returned, or dropped.
            is_rpc: whether the body is JSON-RPC for the node's own path.
            peer: who sent it.
        """
        if head is not self._last_head or is_rpc is not self._last_is_rpc or peer is not self._last_peer:
            fields = head.rpc_forwarded if is_rpc else head.forwarded
            self._last_head, self._last_is_rpc, self._last_peer = head, is_rpc, peer
            self._last_fields = fields + self.way(head, peer)
        return self._last_fields

    def way(self, head: RequestHead, peer: Peer) -> bytes:
        """Return those of them that tell of the way of the request; the arguments are those of `fields`."""
        known = head.known
        earlier = known.get(b"via")
        via = self._via[head.minor] if earlier is None else b"%s, %s" % (earlier, self._via[head.minor])
        lines = b"Via: %s\r\n" % via
        if peer.is_trusted:
            for name in PROXY_CLAIMS:
                if name in known:
                    lines += b"%s: %s\r\n" % (name, known[name])
        if not self._tells_client:
            return lines
        hop = b"for=%s;proto=%s" % (peer.node_id, self._proto)
        if head.authority:
            hop += b';host="%s"' % head.authority
        addresses, proto, host = peer.address or _UNKNOWN, self._proto, head.authority
        if peer.is_trusted:
            hop = _behind(known.get(b"forwarded"), hop)
            addresses = _behind(known.get(b"x-forwarded-for"), addresses)
            proto = known.get(b"x-forwarded-proto") or proto
            host = known.get(b"x-forwarded-host") or host
        lines += b"Forwarded: %s\r\nX-Forwarded-For: %s\r\nX-Forwarded-Proto: %s\r\n" % (
            hop,
            addresses,
            proto,
        )
        return lines + b"X-Forwarded-Host: %s\r\n" % host if host else lines


def _behind(earlier: bytes | None, last: bytes) -> bytes:
    """Return a list with one more member."""
    return b"%s, %s" % (earlier, last) if earlier else last
