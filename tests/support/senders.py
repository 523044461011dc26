"""Senders of requests, as limits know them."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address


class ASender:
    """A sender with this address, empty for none, and the key of this name."""

    def __init__(self, address: str, key: bytes = b"") -> None:
        self.ip: IPv4Address | IPv6Address | None = ip_address(address) if address else None
        self.key = key
        self.prefix: bytes = (address or "unknown").encode()
        if isinstance(self.ip, IPv6Address):
            self.prefix = str(IPv6Network((int(self.ip) >> 64 << 64, 64))).encode()
