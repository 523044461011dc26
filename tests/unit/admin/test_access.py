"""Who is let in by address, and who by token."""

from ipaddress import ip_network

import pytest

from priolb.admin.access import AdminAccess

LOOPBACK = ("127.0.0.0/8", "::1/128")


def access(*networks: str, token: str = "") -> AdminAccess:
    return AdminAccess([ip_network(each) for each in networks], token)


@pytest.mark.parametrize(
    ("peer", "networks", "is_allowed"),
    [
        ("127.0.0.1", LOOPBACK, True),
        ("127.255.255.255", LOOPBACK, True),
        ("128.0.0.1", LOOPBACK, False),
        ("::1", LOOPBACK, True),
        ("::2", LOOPBACK, False),
        ("::ffff:127.0.0.1", LOOPBACK, True),
        ("::ffff:10.0.0.1", LOOPBACK, False),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), True),
        ("::ffff:10.0.0.1", ("::/0",), False),
        ("10.0.0.1", ("::/0",), False),
        ("::1", ("0.0.0.0/0",), False),
        ("203.0.113.9", ("0.0.0.0/0",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("127.0.0.1", (), False),
        ("", LOOPBACK, False),
        ("", ("0.0.0.0/0", "::/0"), False),
        ("localhost", LOOPBACK, False),
    ],
)
def test_a_peer_is_let_in_by_its_address(peer: str, networks: tuple[str, ...], is_allowed: bool) -> None:
    """An IPv4 address in IPv6 clothes is as trusted as itself; what has no address is not trusted."""
    assert access(*networks).allows(peer, None) is is_allowed


@pytest.mark.parametrize(
    ("authorization", "is_known"),
    [
        (b"Bearer s3cret", True),
        (b"bearer s3cret", True),
        (b"BEARER   s3cret ", True),
        (b"Bearer s3cre", False),
        (b"Bearer s3cret0", False),
        (b"Bearer S3CRET", False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"s3cret", False),
        (b"Basic s3cret", False),
        (b"Bearer s3cret, Bearer s3cret", False),
        (b"Bearer s\xe9cret", False),
        (b"", False),
        (None, False),
    ],
)
def test_the_token_lets_in_whoever_sends_it(authorization: bytes | None, is_known: bool) -> None:
    guarded = access(token="s3cret")
    assert guarded.has_token(authorization) is is_known
    assert guarded.allows("203.0.113.9", authorization) is is_known
    assert guarded.allows("", authorization) is is_known


@pytest.mark.parametrize("authorization", [None, b"", b"Bearer", b"Bearer ", b"Bearer x"])
def test_without_a_token_no_authorization_is_valid(authorization: bytes | None) -> None:
    unguarded = access(*LOOPBACK)
    assert unguarded.has_token(authorization) is False
    assert unguarded.allows("203.0.113.9", authorization) is False


def test_a_wrong_token_does_not_shut_out_a_trusted_address() -> None:
    assert access(*LOOPBACK, token="s3cret").allows("127.0.0.1", b"Bearer wrong") is True
