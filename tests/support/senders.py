"""Senders of requests, as limits know them."""

from ipaddress import IPv6Address, ip_address, ip_network


class ASender:
    """A sender with this address, empty for none, and the key of this name."""

    def __init__(self, address: str, key: bytes = b"") -> None:
        self._ip = ip_address(address) if address else None
        self.key = key
        self.prefix: bytes = (address or "unknown").encode()
        if isinstance(self._ip, IPv6Address):
            self.prefix = self.network_of(32, 64)

    def network_of(self, ipv4_bits: int, ipv6_bits: int) -> bytes:
        if self._ip is None:
            return self.prefix
        bits = ipv6_bits if isinstance(self._ip, IPv6Address) else ipv4_bits
        return str(ip_network((self._ip, bits), strict=False)).encode()
