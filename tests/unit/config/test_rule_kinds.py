"""What tables of callers and rules may hold."""

import re
from ipaddress import ip_network

import pytest

from priolb.config.parse import Kind
from priolb.config.rule_kinds import Cidr, FieldName, PatternList, Sha256, Urgencies

PATHS = PatternList("paths", "/")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Sha256(), "0" * 62 + "aF", b"\0" * 31 + b"\xaf"),
        (Cidr(), "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (Cidr(), "::1", ip_network("::1/128")),
        (FieldName(), "X-Fast-Track", "X-Fast-Track"),
        (FieldName(), "high_prio", "high_prio"),
        (PATHS, "/a, /b*,", ("/a", "/b*")),
        (PATHS, "", ()),
        (PatternList("methods"), "eth_*,*", ("eth_*", "*")),
        (Urgencies(), "7=b,0=a", ((0, "a"), (7, "b"))),
        (Urgencies(), "", ()),
    ],
)
def test_what_a_kind_makes_of_a_text(kind: Kind[object], text: str, value: object) -> None:
    assert kind.parse(text) == value


def test_a_network_of_ipv4_is_not_written_as_ipv6() -> None:
    expected = "is not a network (like 10.0.0.0/8 or 2001:db8::/32); write it as IPv4: 10.0.0.0/8"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        Cidr().parse("::ffff:10.0.0.0/104")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Sha256(), ""),
        (Sha256(), "0" * 63),
        (Sha256(), "0" * 65),
        (Sha256(), "0" * 63 + "g"),
        (Cidr(), ""),
        (Cidr(), "10.0.0.0/8,11.0.0.0/8"),
        (FieldName(), ""),
        (FieldName(), "a b"),
        (FieldName(), "a:"),
        (PATHS, "a"),
        (PATHS, "/a*b"),
        (PATHS, "/**"),
        (PATHS, "/a b"),
        (PATHS, "/\u00e9"),
        (PATHS, "*"),
    ],
)
def test_what_a_kind_refuses(kind: Kind[object], text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        kind.parse(text)
    assert str(caught.value) == f"is not {kind.accepts}"


@pytest.mark.parametrize(
    ("text", "where"),
    [("8=a", "8"), ("0=a,x=b", "x"), ("00=a", "00"), ("0=", "0"), ("0=a b", "0"), ("0", "0")],
)
def test_an_urgency_is_a_digit_and_has_a_lane(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Urgencies().parse(text)
    assert str(caught.value) == f"is not {Urgencies().accepts}: see '{where}'"
