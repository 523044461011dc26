"""Addresses are read, and found in networks, as Python's own library does it, only faster."""

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from priolb.http.addresses import Networks, address_of

ADDRESSES = st.one_of(st.ip_addresses(), st.ip_addresses(network="192.0.2.0/28"))
# What is nearly an address, too.
SPELLINGS = st.one_of(
    st.lists(st.integers(-1, 300).map(str) | st.sampled_from(["00", "1 ", ""]), min_size=2, max_size=5).map(
        ".".join
    ),
    st.lists(st.sampled_from(["", "0", "1", "ffff", "fffff", "g", "1.2.3.4"]), min_size=2, max_size=9).map(
        ":".join
    ),
)


@given(st.one_of(ADDRESSES.map(str), SPELLINGS))
def test_an_address_is_read_as_the_library_reads_it(text: str) -> None:
    try:
        expected = ip_address(text)
    except ValueError:
        assert address_of(text.encode()) is None
        return
    if isinstance(expected, IPv6Address):
        expected = expected.ipv4_mapped or expected
    address = address_of(text.encode())
    assert address is not None
    assert (address.number, address.bits) == (int(expected), expected.max_prefixlen)
    assert str(address) == str(expected)
    host = str(expected)
    if isinstance(expected, IPv6Address):
        host = str(IPv6Network((int(expected) >> 64 << 64, 64)))
    assert address.host == host.encode()


@st.composite
def networks(draw: st.DrawFn) -> str:
    address = draw(ADDRESSES)
    return str(ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False))


@given(st.lists(networks(), max_size=8), ADDRESSES)
def test_the_smallest_network_around_an_address_is_found(cidrs: list[str], address: object) -> None:
    known = [ip_network(cidr) for cidr in cidrs]
    text = str(address)
    ip = ip_address(text)
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    around = [index for index, network in enumerate(known) if ip in network]
    smallest = max(around, key=lambda index: known[index].prefixlen, default=-1)
    assert Networks(known).around(address_of(text.encode())) == smallest
