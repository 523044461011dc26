"""Who may change nodes and look inside."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from priolb.http.addresses import Networks, address_of


class AdminAccess:
    """Knows whom the operator trusts: peers of some networks, and whoever has the token.

    Args:
        networks: whose addresses are trusted without the token.
        token: the secret of `Authorization: Bearer`; empty for none.
    """

    __slots__ = ("_networks", "_token")

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network], token: str) -> None:
        self._networks = Networks(networks)
        self._token = token.encode()

    def allows(self, peer: str, authorization: bytes | None) -> bool:
        """Return whether a peer may change nodes and look inside.

        Args:
            peer: its address; empty for a Unix socket, which nothing but the token lets in.
            authorization: value of the Authorization field, None without one.
        """
        return self.has_token(authorization) or self._networks.around(address_of(peer.encode())) >= 0

    def has_token(self, authorization: bytes | None) -> bool:
        """Return whether the value of an Authorization field carries the token; False when there is none."""
        if not self._token or authorization is None:
            return False
        scheme, _, token = authorization.partition(b" ")
        # In constant time: how long a refusal takes must not tell how many first characters were right.
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(b" "), self._token)
