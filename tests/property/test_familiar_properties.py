"""Whatever is taken for a familiar head is what parsing would have made of it."""

from ipaddress import ip_network

import hypothesis.strategies as st
from hypothesis import assume, given, settings

from priolb.errors import ClientError
from priolb.http.familiar import learn
from priolb.http.forwarding import Forwarding
from priolb.http.parser import parse_request_head
from support.examples import examples
from support.heads import values_of

NAMES = st.sampled_from(
    [
        *(b"X-Request-ID", b"x-request-id", b"Traceparent", b"X", b"Cookie", b"Connection", b"Content-Type"),
        *(b"Via", b"Keep-Alive", b"TE", b"Upgrade", b"X-Fast-Track", b"Content-Length", b"Authorization"),
        *(b"X-Forwarded-For", b"X_Forwarded_For", b"Forwarded"),
    ]
)
# Of one who may say for whom it asks, and of one who may not.
FORWARDING = Forwarding("lb", "http", tells_client=True, trusted=[ip_network("10.0.0.0/8")])
PEERS = [FORWARDING.peer("10.0.0.1"), FORWARDING.peer("192.0.2.7")]

PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).map(str.encode)
VALUES = st.one_of(PLAIN, st.sampled_from([b"close", b"x", b"cookie", b"true", b"7", b"a, b", b""]))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


def head_with(before: list[tuple[bytes, bytes]], field: bytes, after: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%s: %s" % each for each in before] + [field] + [b"%s: %s" % each for each in after]
    return b"POST /a?b HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@settings(max_examples=examples(1000))
@given(FIELDS, NAMES, PLAIN, PLAIN, FIELDS, st.one_of(PLAIN, st.binary(max_size=12)), st.booleans())
def test_whatever_is_taken_is_what_parsing_makes_of_it(
    before: list[tuple[bytes, bytes]],
    name: bytes,
    first: bytes,
    second: bytes,
    after: list[tuple[bytes, bytes]],
    third: bytes,
    has_more: bool,
) -> None:
    try:
        heads = [
            parse_request_head(head_with(before, b"%s: %s" % (name, value), after), 100)
            for value in (first, second)
        ]
    except ClientError:
        assume(False)
    familiar = learn(*heads)
    if familiar is None:
        return
    data = head_with(before, b"%s: %s" % (name, third), after)
    head = familiar.take(data + b"GET " * has_more)
    if head is not None:
        taken = data[: familiar.taken_bytes]
        parsed = parse_request_head(taken, 100)
        assert values_of(head) | {"raw": taken, "model": None} == values_of(parsed)
        for peer in PEERS:
            assert FORWARDING.way(head.model or head, peer) == FORWARDING.way(parsed, peer)
