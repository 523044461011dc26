"""Addresses as numbers: how they are spelled, of which host they are, and in which networks."""

from ipaddress import ip_network

import pytest

from priolb.http.addresses import IPV4_BITS, IPV6_BITS, Networks, address_of


@pytest.mark.parametrize(
    ("text", "number", "bits", "host"),
    [
        (b"192.0.2.7", 0xC0000207, IPV4_BITS, b"192.0.2.7"),
        (b"255.255.255.255", 0xFFFFFFFF, IPV4_BITS, b"255.255.255.255"),
        (b"0.0.0.0", 0, IPV4_BITS, b"0.0.0.0"),
        (b"::ffff:192.0.2.7", 0xC0000207, IPV4_BITS, b"192.0.2.7"),
        (b"::FFFF:c000:207", 0xC0000207, IPV4_BITS, b"192.0.2.7"),
        (b"::192.0.2.7", 0xC0000207, IPV6_BITS, b"::/64"),
        (b"::", 0, IPV6_BITS, b"::/64"),
        (b"2001:DB8:1:2:3::4", 0x20010DB8000100020003000000000004, IPV6_BITS, b"2001:db8:1:2::/64"),
        (b"2001:db8::1:0:0:1", 0x20010DB8000000000001000000000001, IPV6_BITS, b"2001:db8::/64"),
        (b"0:0:0:1:2:3:4:5", 0x00000000000000010002000300040005, IPV6_BITS, b"0:0:0:1::/64"),
        (b"fe80::1%eth0", 0xFE800000000000000000000000000001, IPV6_BITS, b"fe80::/64"),
    ],
)
def test_an_address_is_a_number_and_belongs_to_a_host(
    text: bytes, number: int, bits: int, host: bytes
) -> None:
    address = address_of(text)
    assert address is not None
    assert (address.number, address.bits, address.host) == (number, bits, host)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"1.2.3",
        b"1.2.3.4.5",
        b"1.2.3.256",
        b"1.2.3.04",
        b"1.2.3.+4",
        b"1.2.3. 4",
        b"1.2.3.",
        b"1.2.3.\xb2",
        b"%eth0",
        b":",
        b":::",
        b"2001:db8::1::2",
        b"2001:db8::\xff",
        b"2001:db8:1:2:3:4:5:6:7",
        b"2001:db8::" + b"0" * 55,
    ],
)
def test_what_spells_no_address_is_none(text: bytes) -> None:
    assert address_of(text) is None


@pytest.mark.parametrize(
    ("text", "ipv4_bits", "ipv6_bits", "network"),
    [
        (b"192.0.2.7", 24, 64, b"192.0.2.0/24"),
        (b"192.0.2.7", 32, 64, b"192.0.2.7/32"),
        (b"192.0.2.7", 0, 0, b"0.0.0.0/0"),
        (b"2001:db8:1:2::1", 32, 48, b"2001:db8:1::/48"),
        (b"2001:db8::1", 32, 128, b"2001:db8::1/128"),
        (b"2001:db8::1", 0, 0, b"::/0"),
    ],
)
def test_an_address_is_in_a_network_of_any_length(
    text: bytes, ipv4_bits: int, ipv6_bits: int, network: bytes
) -> None:
    address = address_of(text)
    assert address is not None
    assert address.network(ipv4_bits, ipv6_bits) == network


def test_the_smallest_network_around_an_address_is_found_and_of_equal_ones_the_first() -> None:
    cidrs = ["::/0", "192.0.2.8/32", "192.0.0.0/16", "192.0.2.0/24", "192.0.2.0/24", "2001:db8::/32"]
    networks = Networks([ip_network(cidr) for cidr in cidrs])
    texts = (b"192.0.2.8", b"192.0.2.7", b"192.0.3.1", b"10.0.0.1", b"2001:db8::1", b"fd00::1", b"")
    assert [networks.around(address_of(text)) for text in texts] == [1, 3, 2, -1, 5, 0, -1]


def test_of_no_networks_none_is_around() -> None:
    assert Networks([]).around(address_of(b"192.0.2.7")) == -1
