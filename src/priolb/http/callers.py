"""Who asks: by API key, by network, and as a tenant among others."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from priolb.http.addresses import Address, Networks, address_of
from priolb.http.fields import FieldFinder
from priolb.http.forwarding import Peer
from priolb.http.messages import RequestHead

_BEARER: Final = b"bearer "
_UNKNOWN: Final = b"unknown"

# Proxies, one behind the other, that are asked for whom they ask.
_HOPS_MAX: Final = 32
_TENANT_MAX_BYTES: Final = 128


class KnownKey:
    """An API key.

    Args:
        name: how rules and limits call it.
        digest: SHA-256 of the secret.
        lanes: see `Caller`; None for what its network says.
    """

    __slots__ = ("digest", "lanes", "name")

    def __init__(self, name: bytes, digest: bytes, lanes: tuple[int, ...] | None) -> None:
        self.name = name
        self.digest = digest
        self.lanes = lanes


class KnownNetwork:
    """A network of clients.

    Args:
        network: its addresses.
        lanes: see `Caller`.
    """

    __slots__ = ("lanes", "network")

    def __init__(self, network: IPv4Network | IPv6Network, lanes: tuple[int, ...] | None) -> None:
        self.network = network
        self.lanes = lanes


class Caller:
    """Who asks.

    Args:
        ip: address of the client, None when it has none or nobody knows it.
        key: name of its API key, empty without one.
        network: the network that it is known by, as `10.0.0.0/8`; empty for none.
        prefix: its address, or the /64 of IPv6 that this is in, as one host mostly has all of it.
        tenant: as whom it shares a lane with others.
        lanes: the lane that it gets for each lane, None when it may use all.
    """

    __slots__ = ("ip", "key", "lanes", "network", "prefix", "tenant")

    def __init__(
        self,
        ip: Address | None,
        key: bytes,
        network: bytes,
        prefix: bytes,
        tenant: bytes,
        lanes: tuple[int, ...] | None,
    ) -> None:
        self.ip = ip
        self.key = key
        self.network = network
        self.prefix = prefix
        self.tenant = tenant
        self.lanes = lanes

    @property
    def address(self) -> str:
        """Its address, empty when there is none."""
        return "" if self.ip is None else str(self.ip)

    def network_of(self, ipv4_bits: int, ipv6_bits: int) -> bytes:
        """Return the network that it is in; see `Address.network`."""
        return self.prefix if self.ip is None else self.ip.network(ipv4_bits, ipv6_bits)

    def lane_for(self, lane: int) -> int:
        """Return the lane that it gets when it asks for this one."""
        return lane if self.lanes is None else self.lanes[lane]


class Callers:
    """Knows who asks.

    A proxy that is trusted asks for the last address of its X-Forwarded-For, and so on, as long as that is a
    proxy that is trusted.

    Args:
        keys: the API keys; one is sent as `X-API-Key` or `Authorization: Bearer`.
        networks: the networks; of those that an address is in, the smallest counts.
        trusted: networks of proxies.
        tenant_header: name of the field by which such a proxy names the tenant, empty for none.
        lanes_of_nobody: see `Caller`; of who has no address that can be read.
    """

    __slots__ = ("_keys", "_known", "_lanes_of_nobody", "_networks", "_tenants", "_trusted")

    def __init__(
        self,
        keys: Sequence[KnownKey] = (),
        networks: Sequence[KnownNetwork] = (),
        trusted: Sequence[IPv4Network | IPv6Network] = (),
        tenant_header: str = "",
        lanes_of_nobody: tuple[int, ...] | None = None,
    ) -> None:
        self._keys: dict[bytes, KnownKey] = {key.digest: key for key in keys}
        self._known: tuple[tuple[bytes, tuple[int, ...] | None], ...] = tuple(
            [(str(known.network).encode(), known.lanes) for known in networks]
        )
        self._networks: Networks = Networks([known.network for known in networks])
        self._lanes_of_nobody: tuple[int, ...] | None = lanes_of_nobody
        self._trusted: Networks = Networks(trusted)
        self._tenants: FieldFinder | None = FieldFinder(tenant_header) if tenant_header else None

    def caller_of(self, head: RequestHead, peer: Peer) -> Caller:
        """Return who sends a request.

        Args:
            head: the request's head.
            peer: the other end of the connection that it came by.
        """
        ip, tenant = peer.ip, b""
        if peer.is_trusted:
            forwarded_for = head.known.get(b"x-forwarded-for", b"")
            if forwarded_for:
                ip = self._client_behind(forwarded_for)
            if self._tenants is not None:
                tenant = self._tenants.last_in(head).strip(b" \t")
                if len(tenant) > _TENANT_MAX_BYTES:
                    tenant = sha256(tenant).digest()
        key = self._key_of(head) if self._keys else None
        prefix = _UNKNOWN if ip is None else ip.host
        network, name, own, lanes = b"", b"", prefix, None
        index = self._networks.around(ip)
        if index >= 0:
            network, lanes = self._known[index]
        elif ip is None:
            lanes = self._lanes_of_nobody
        if key is not None:
            name = key.name
            own = b"key " + name
            lanes = lanes if key.lanes is None else key.lanes
        return Caller(ip, name, network, prefix, b"header " + tenant if tenant else own, lanes)

    def _key_of(self, head: RequestHead) -> KnownKey | None:
        secret = head.known.get(b"x-api-key", b"")
        if not secret:
            credentials = head.known.get(b"authorization", b"")
            if credentials[: len(_BEARER)].lower() != _BEARER:
                return None
            secret = credentials[len(_BEARER) :].strip(b" ")
        return self._keys.get(sha256(secret).digest())

    def _client_behind(self, forwarded_for: bytes) -> Address | None:
        """Return for whom a trusted proxy asks; None when it does not say what can be read."""
        ip: Address | None = None
        for hop in reversed(forwarded_for.rsplit(b",", _HOPS_MAX)[-_HOPS_MAX:]):
            ip = address_of(_without_port(hop.strip(b" \t")))
            if self._trusted.around(ip) < 0:
                break
        return ip


def _without_port(hop: bytes) -> bytes:
    if hop.startswith(b"["):
        return hop[1:].partition(b"]")[0]
    host, colon, rest = hop.partition(b":")
    return host if colon and b":" not in rest else hop
