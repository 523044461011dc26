"""How many connections one peer may have."""

from ipaddress import ip_network

import pytest

from priolb.http.forwarding import Forwarding
from priolb.net.front.peers import PeerCount
from support.messages import CLOSE, POST, RETRY_AFTER, problem
from support.rig import Rig

FRIENDS = Forwarding("lb", "http", tells_client=True, trusted=[ip_network("10.0.0.0/8")])
TOO_MANY = problem(b"429 Too Many Requests", "too many connections", RETRY_AFTER + CLOSE)


def counted(limit: int, *addresses: str) -> list[bool]:
    peers = PeerCount(limit, 0, FRIENDS)
    return [peers.add(address) for address in addresses]


def test_without_a_limit_nothing_is_counted() -> None:
    peers = PeerCount(0, 0, FRIENDS)
    assert [peers.add("1.2.3.4") for _ in range(3)] == [True] * 3
    peers.remove("1.2.3.4")
    assert peers._by_peer == {}


def test_each_address_has_its_own_count() -> None:
    assert counted(2, "1.2.3.4", "1.2.3.5", "1.2.3.4", "1.2.3.4", "1.2.3.5") == [
        True,
        True,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("second", "is_same"),
    [
        ("2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1%eth0", True),
        ("2001:db8:1:3::1", False),
        ("::ffff:1.2.3.4", False),
    ],
)
def test_of_ipv6_a_network_of_64_bits_is_one_peer(second: str, is_same: bool) -> None:
    assert counted(1, "2001:db8:1:2::1", second) == [True, not is_same]


def test_an_ipv4_address_in_ipv6_is_that_address() -> None:
    assert counted(1, "1.2.3.4", "::ffff:1.2.3.4", "::ffff:1.2.3.5") == [True, False, True]


def test_proxies_that_are_trusted_have_no_limit_as_they_speak_for_many() -> None:
    assert counted(1, "10.0.0.1", "10.0.0.1") == [True, True]


def test_a_peer_without_an_address_is_not_counted() -> None:
    assert counted(1, "", "") == [True, True]


def test_nothing_is_left_of_peers_that_are_gone() -> None:
    peers = PeerCount(1, 0, FRIENDS)
    assert [peers.add("1.2.3.4"), peers.add("1.2.3.4")] == [True, False]
    peers.remove("1.2.3.4")
    assert peers._by_peer == {b"1.2.3.4": 1}
    peers.remove("1.2.3.4")
    assert peers._by_peer == {}
    assert peers.add("1.2.3.4")


@pytest.mark.parametrize("per_peer", [0, 9])
def test_all_together_have_a_limit_too_proxies_and_unix_sockets_included(per_peer: int) -> None:
    peers = PeerCount(per_peer, 3, FRIENDS)
    assert [peers.add(address) for address in ("1.2.3.4", "10.0.0.1", "", "10.0.0.1")] == [True] * 3 + [False]
    peers.remove("10.0.0.1")
    assert not peers.add("1.2.3.5")
    peers.remove("10.0.0.1")
    peers.remove("")
    assert peers.add("1.2.3.5")


def test_more_connections_than_the_program_may_have_are_told_so_and_closed() -> None:
    with Rig(connections_max=2) as rig:
        first, second, third = rig.client("192.0.2.1"), rig.client("192.0.2.2"), rig.client("192.0.2.3")
        rig.run()
        assert third.take() == TOO_MANY and third.is_lost
        first.end()
        rig.run()
        fourth = rig.client("192.0.2.4")
        rig.run()
        assert not fourth.is_ended
        second.end()
        fourth.end()


def test_a_connection_too_many_is_told_so_and_closed() -> None:
    with Rig(connections_per_peer=2) as rig:
        first, second, third = rig.client(), rig.client(), rig.client()
        rig.run()
        assert third.take() == TOO_MANY and third.is_lost
        assert rig.notes.take() == [("rejected", "192.0.2.1", 429, "too_many_connections")]
        first.end()
        rig.run()
        fourth = rig.client()
        rig.run()
        assert not fourth.is_ended
        fourth.send(POST)
        assert fourth.take().startswith(b"HTTP/1.1 503 ")
        second.end()
