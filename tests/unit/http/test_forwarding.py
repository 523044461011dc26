"""What nodes are told of the way of a request, and whom this program believes."""

from ipaddress import ip_network

import pytest

from priolb.http.forwarding import Forwarding
from priolb.http.messages import RequestHead
from priolb.http.parser import parse_request_head
from support.heads import head_bytes

FRIENDS = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


def head(*lines: str, version: str = "1.1", host: str = "a:1") -> RequestHead:
    return parse_request_head(head_bytes(f"GET / HTTP/{version}", f"Host: {host}", *lines), 100)


def told(peer: str, *lines: str, proto: str = "http", host: str = "a:1") -> list[str]:
    forwarding = Forwarding("lb", proto, tells_client=True, trusted=FRIENDS)
    rendered = forwarding.fields(head(*lines, host=host), False, forwarding.peer(peer))
    assert rendered.endswith(b"\r\n")
    return rendered.decode().split("\r\n")[:-1]


# Peers


@pytest.mark.parametrize(
    ("address", "node_id", "is_trusted"),
    [
        ("10.1.2.3", b"10.1.2.3", True),
        ("11.1.2.3", b"11.1.2.3", False),
        ("2001:db8::1", b'"[2001:db8::1]"', True),
        ("2001:db9::1", b'"[2001:db9::1]"', False),
        ("::ffff:10.1.2.3", b'"[::ffff:10.1.2.3]"', True),
        ("::ffff:11.1.2.3", b'"[::ffff:11.1.2.3]"', False),
        ("fe80::1%eth0", b'"[fe80::1]"', False),
        ("", b"unknown", False),
    ],
)
def test_a_peer_is_spelled_as_rfc_7239_says_and_trusted_by_its_network(
    address: str, node_id: bytes, is_trusted: bool
) -> None:
    peer = Forwarding("lb", "http", tells_client=True, trusted=FRIENDS).peer(address)
    assert (peer.address, peer.node_id, peer.is_trusted) == (address.encode(), node_id, is_trusted)


def test_of_many_peers_those_of_late_are_remembered() -> None:
    forwarding = Forwarding("lb", "http", tells_client=True, trusted=FRIENDS)
    first = forwarding.peer("10.0.0.0")
    for number in range(1, 4096):
        forwarding.peer(f"10.0.{number // 256}.{number % 256}")
    assert forwarding.peer("10.0.0.0") is first
    last = forwarding.peer("10.1.0.0")
    assert forwarding.peer("10.1.0.0") is last
    again = forwarding.peer("10.0.0.0")
    assert again is not first
    assert (again.address, again.is_trusted) == (b"10.0.0.0", True)


# Fields


def test_connections_of_one_program_share_what_is_told_and_nobody_else_does() -> None:
    forwarding = Forwarding("lb", "http", tells_client=True, trusted=FRIENDS)
    one, other = head("X: 1"), head("X: 2")
    peer, neighbour = forwarding.peer("1.2.3.4"), forwarding.peer("1.2.3.5")
    told = forwarding.fields(one, False, peer)
    assert forwarding.fields(one, False, peer) is told
    way = (
        b'Via: 1.1 lb\r\nForwarded: for=%s;proto=http;host="a:1"\r\n'
        b"X-Forwarded-For: %s\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a:1\r\n"
    )
    mine, yours = way % (b"1.2.3.4", b"1.2.3.4"), way % (b"1.2.3.5", b"1.2.3.5")
    typed = b"Content-Type: application/json\r\n"
    assert [
        told,
        forwarding.fields(one, False, neighbour),
        forwarding.fields(other, False, neighbour),
        forwarding.fields(other, True, neighbour),
        forwarding.fields(one, True, peer),
        forwarding.fields(one, False, peer),
    ] == [
        b"X: 1\r\n" + mine,
        b"X: 1\r\n" + yours,
        b"X: 2\r\n" + yours,
        b"X: 2\r\n" + typed + yours,
        b"X: 1\r\n" + typed + mine,
        b"X: 1\r\n" + mine,
    ]


def test_a_stranger_is_told_of_as_he_is() -> None:
    assert told("1.2.3.4", "Forwarded: for=9.9.9.9", "X-Forwarded-For: 9.9.9.9", "X-Real-IP: 9.9.9.9") == [
        "Via: 1.1 lb",
        'Forwarded: for=1.2.3.4;proto=http;host="a:1"',
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: a:1",
    ]


def test_a_friend_is_put_behind_those_he_tells_of() -> None:
    lines = [
        "Via: 1.1 front",
        "Forwarded: for=9.9.9.9;proto=https",
        "X-Forwarded-For: 9.9.9.9, 8.8.8.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop.example",
        "X-Forwarded-Server: front",
        "X-Forwarded-Prefix: /shop",
    ]
    assert told("2001:db8::1", *lines) == [
        "Via: 1.1 front, 1.1 lb",
        "x-forwarded-prefix: /shop",
        "x-forwarded-server: front",
        'Forwarded: for=9.9.9.9;proto=https, for="[2001:db8::1]";proto=http;host="a:1"',
        "X-Forwarded-For: 9.9.9.9, 8.8.8.8, 2001:db8::1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop.example",
    ]


@pytest.mark.parametrize(
    "lines", [[], ["Forwarded:", "X-Forwarded-For:", "X-Forwarded-Proto:", "X-Forwarded-Host:"]]
)
def test_a_friend_that_tells_nothing_is_the_first_of_the_way(lines: list[str]) -> None:
    assert told("10.0.0.1", *lines, proto="https") == [
        "Via: 1.1 lb",
        'Forwarded: for=10.0.0.1;proto=https;host="a:1"',
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: a:1",
    ]


def test_without_a_host_none_is_told() -> None:
    assert told("1.2.3.4", host="") == [
        "Via: 1.1 lb",
        "Forwarded: for=1.2.3.4;proto=http",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: http",
    ]


def test_a_peer_without_an_address_is_unknown() -> None:
    assert told("")[1:3] == ['Forwarded: for=unknown;proto=http;host="a:1"', "X-Forwarded-For: unknown"]


def test_nothing_is_told_of_the_client_when_that_is_not_wished() -> None:
    forwarding = Forwarding("lb", "http", tells_client=False, trusted=FRIENDS)
    lines = ["Forwarded: for=9.9.9.9", "X-Forwarded-For: 9.9.9.9", "X-Real-IP: 9.9.9.9"]
    assert forwarding.fields(head(*lines), False, forwarding.peer("1.2.3.4")) == b"Via: 1.1 lb\r\n"
    friend = forwarding.fields(head(*lines), False, forwarding.peer("10.0.0.1"))
    assert friend == b"Via: 1.1 lb\r\nx-real-ip: 9.9.9.9\r\n"


# Loops


@pytest.mark.parametrize(
    ("via", "is_loop"),
    [
        ("1.1 lb", True),
        ("1.0 front, 1.1 lb", True),
        ("1.1 lb, 1.0 back", True),
        ("HTTP/1.1 lb (a comment)", True),
        ("1.1 lb2", False),
        ("1.1 my-lb", False),
        ("1.1 front (lb)", False),
        ("lb", False),
        ("", False),
    ],
)
def test_a_loop_is_told_by_our_own_name_alone(via: str, is_loop: bool) -> None:
    forwarding = Forwarding("lb", "http", tells_client=True, trusted=())
    assert forwarding.is_loop(head(f"Via: {via}")) is is_loop


def test_a_request_that_has_passed_no_proxy_is_no_loop() -> None:
    assert not Forwarding("lb", "http", tells_client=True, trusted=()).is_loop(head())
