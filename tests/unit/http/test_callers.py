"""Who asks: by address, behind proxies, by API key, and as which tenant."""

from hashlib import sha256
from ipaddress import ip_network

import pytest

from priolb.http.callers import Callers, KnownKey, KnownNetwork
from priolb.http.forwarding import Forwarding, Peer
from priolb.http.messages import RequestHead
from support.heads import request_head

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
FORWARDING = Forwarding("lb", "http", tells_client=True, trusted=PROXIES)
BUILDER = KnownKey(b"builder", sha256(b"secret").digest(), (0, 1, 2))
GUEST = KnownKey(b"guest", sha256(b"other").digest(), None)


def head(*lines: str) -> RequestHead:
    return request_head("POST / HTTP/1.1", *lines)


def peer(address: str) -> Peer:
    return FORWARDING.peer(address)


# Addresses


@pytest.mark.parametrize(
    ("address", "expected", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7", b"192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7", b"192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2:3::4", b"2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1", b"fe80::/64"),
        ("", "", b"unknown"),
    ],
)
def test_a_client_is_known_by_its_address_and_prefix(address: str, expected: str, prefix: bytes) -> None:
    caller = Callers().caller_of(head(), peer(address))
    assert (caller.address, caller.prefix, caller.tenant) == (expected, prefix, prefix)
    assert (caller.key, caller.network, caller.lanes) == (b"", b"", None)


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7,10.0.0.2 ,\t10.0.0.3", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.9, 10.0.0.3", "10.0.0.9"),
        ("192.0.2.7, unknown", ""),
        ("192.0.2.7, ", ""),
        ("nonsense", ""),
        ("10.0.0.4, nonsense, 10.0.0.3", ""),
        ("1" * 65, ""),
        ("192.0.2.7" + ", 10.0.0.3" * 31, "192.0.2.7"),
        ("192.0.2.7" + ", 10.0.0.3" * 32, "10.0.0.3"),
    ],
)
def test_behind_trusted_proxies_it_is_the_last_address_that_is_none_of_theirs(
    forwarded_for: str, expected: str
) -> None:
    caller = Callers(trusted=PROXIES).caller_of(head(f"X-Forwarded-For: {forwarded_for}"), peer("10.0.0.1"))
    assert caller.address == expected


def test_a_proxy_that_forwards_for_nobody_asks_itself() -> None:
    assert Callers(trusted=PROXIES).caller_of(head(), peer("10.0.0.1")).address == "10.0.0.1"


def test_nobody_else_is_believed() -> None:
    lines = ("X-Forwarded-For: 192.0.2.7", "X-Tenant: a")
    caller = Callers(trusted=PROXIES, tenant_header="X-Tenant").caller_of(head(*lines), peer("11.0.0.1"))
    assert (caller.address, caller.tenant) == ("11.0.0.1", b"11.0.0.1")


# Networks


def test_of_the_networks_around_a_client_the_smallest_counts() -> None:
    lanes = {"0.0.0.0/0": (2, 2, 2), "192.0.2.0/24": (1, 1, 2), "192.0.2.8/32": None, "::/0": (0, 2, 2)}
    callers = Callers(networks=[KnownNetwork(ip_network(cidr), each) for cidr, each in lanes.items()])
    found = {
        address: callers.caller_of(head(), peer(address))
        for address in ("192.0.2.7", "192.0.2.8", "192.0.3.1", "2001:db8::1", "")
    }
    assert {address: (caller.network, caller.lanes) for address, caller in found.items()} == {
        "192.0.2.7": (b"192.0.2.0/24", (1, 1, 2)),
        "192.0.2.8": (b"192.0.2.8/32", None),
        "192.0.3.1": (b"0.0.0.0/0", (2, 2, 2)),
        "2001:db8::1": (b"::/0", (0, 2, 2)),
        "": (b"", None),
    }


@pytest.mark.parametrize("lanes", [None, (1, 1, 2)])
def test_an_address_that_nobody_can_read_has_lanes_of_its_own(lanes: tuple[int, ...] | None) -> None:
    known = [KnownNetwork(ip_network("0.0.0.0/0"), (2, 2, 2))]
    callers = Callers(networks=known, trusted=PROXIES, lanes_of_nobody=lanes)
    for hop in ("unknown", "192.0.2.7, unix:", ""):
        caller = callers.caller_of(head(f"X-Forwarded-For: x, {hop}"), peer("10.0.0.1"))
        assert (caller.network, caller.lanes) == (b"", lanes)


# Keys


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (["X-API-Key: secret"], b"builder"),
        (["x-api-key: secret "], b"builder"),
        (["Authorization: Bearer secret"], b"builder"),
        (["Authorization: bearer  secret"], b"builder"),
        (["X-API-Key: other", "Authorization: Bearer secret"], b"guest"),
        (["X-API-Key: secret", "X-API-Key: secret"], b""),
        (["X-API-Key: Secret"], b""),
        (["X-API-Key: wrong", "Authorization: Bearer secret"], b""),
        (["X-API-Key:", "Authorization: Bearer secret"], b"builder"),
        (["Authorization: Basic secret"], b""),
        (["Authorization: Bearer"], b""),
        (["Authorization: secret"], b""),
        ([], b""),
    ],
)
def test_a_key_is_found_by_its_secret(lines: list[str], key: bytes) -> None:
    caller = Callers([BUILDER, GUEST]).caller_of(head(*lines), peer("192.0.2.7"))
    assert (caller.key, caller.tenant) == (key, b"key " + key if key else b"192.0.2.7")


def test_a_key_counts_more_than_the_network_unless_it_says_nothing() -> None:
    callers = Callers([BUILDER, GUEST], [KnownNetwork(ip_network("0.0.0.0/0"), (2, 2, 2))])
    lanes = [
        callers.caller_of(head(f"X-API-Key: {secret}"), peer("192.0.2.7")).lanes
        for secret in ("secret", "other", "wrong")
    ]
    assert lanes == [(0, 1, 2), (2, 2, 2), (2, 2, 2)]


@pytest.mark.parametrize(("lanes", "given"), [(None, [0, 1, 2]), ((1, 1, 2), [1, 1, 2])])
def test_a_caller_gets_its_lanes(lanes: tuple[int, ...] | None, given: list[int]) -> None:
    callers = Callers(networks=[KnownNetwork(ip_network("0.0.0.0/0"), lanes)])
    caller = callers.caller_of(head(), peer("192.0.2.7"))
    assert [caller.lane_for(lane) for lane in range(3)] == given


# Tenants


def test_a_trusted_proxy_may_name_the_tenant() -> None:
    callers = Callers([BUILDER], trusted=PROXIES, tenant_header="X-Tenant")
    lines = ("X-API-Key: secret", "X-Forwarded-For: 192.0.2.7")
    assert [
        callers.caller_of(head(*lines, *more), peer("10.0.0.1")).tenant
        for more in ([], ["X-Tenant: a b "], ["X-Tenant:"], [f"X-Tenant: {'c' * 128}"])
    ] == [b"key builder", b"header a b", b"key builder", b"header " + b"c" * 128]


def test_the_tenant_is_whom_the_last_proxy_names() -> None:
    """The lines before its own may be its client's."""
    callers = Callers(trusted=PROXIES, tenant_header="X-Tenant")
    for lines, tenant in (
        (["X-Tenant: victim", "X-Tenant: mallory"], b"header mallory"),
        (["X-Tenant:", "x-tenant: a, b"], b"header a, b"),
    ):
        assert callers.caller_of(head(*lines), peer("10.0.0.1")).tenant == tenant
    callers = Callers(trusted=PROXIES, tenant_header="X-API-Key")  # which is looked at anyway
    assert callers.caller_of(head("X-API-Key: a", "X-API-Key: b"), peer("10.0.0.1")).tenant == b"header b"


def test_tenants_of_whatever_length_are_apart() -> None:
    callers = Callers(trusted=PROXIES, tenant_header="X-Tenant")
    tenants = [
        callers.caller_of(head(f"X-Tenant: {'a' * 128}{end}"), peer("10.0.0.1")).tenant
        for end in ("1", "2", "1")
    ]
    assert tenants[0] == tenants[2] != tenants[1]
    assert len(tenants[0]) == len(b"header ") + 32
