"""Client connections under any splitting of what they send, and under any damage to it."""

from dataclasses import dataclass
from itertools import pairwise

import h11
import hypothesis.strategies as st
from hypothesis import given, settings

from priolb.net.front.connection import FrontConnection
from priolb.net.front.output import AT_HEAD
from support.examples import examples
from support.memory import MemoryTransport
from support.messages import POST, POST_AT_NODE, answer_at_client
from support.rig import Rig

BODIES = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"{}", b" [1]", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
)
SPLITS = st.lists(st.integers(0, 600), max_size=12)


@dataclass
class Request:
    """A request as a client may write it."""

    method: bytes
    target: bytes
    is_old: bool
    fields: tuple[bytes, ...]
    body: bytes
    chunk_bytes: int
    empty_lines: int
    trailers: bytes

    def render(self) -> bytes:
        lines = [b"%s %s HTTP/1.%d" % (self.method, self.target, not self.is_old)]
        lines.append(b"Connection: keep-alive" if self.is_old else b"Host: balancer")
        lines.extend(self.fields)
        body = self.body
        if self.chunk_bytes and not self.is_old:
            lines.append(b"Transfer-Encoding: chunked")
            parts = [body[at : at + self.chunk_bytes] for at in range(0, len(body), self.chunk_bytes)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
            body += b"0\r\n" + self.trailers + b"\r\n"
        elif body or self.method == b"POST":
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n" * self.empty_lines + b"\r\n".join([*lines, b"", body])


REQUESTS = st.lists(
    st.builds(
        Request,
        method=st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"BREW"]),
        target=st.sampled_from([b"/", b"/sim", b"/a?b=c"]),
        is_old=st.booleans(),
        fields=st.sampled_from(
            [
                (),
                (b"X-Fast-Track: true",),
                (b"X: " + b"x" * 200, b"x: \xe9"),
                (b"Content-Type: a/b",),
                (b"TE: trailers", b"Via: 1.1 front"),
                (b"Connection: Upgrade", b"Upgrade: websocket"),
            ]
        ),
        body=BODIES,
        chunk_bytes=st.integers(0, 9),
        empty_lines=st.integers(0, 2),
        trailers=st.sampled_from([b"", b"", b"X-Sum: 1\r\n", b"Content-Length: 3\r\nx:\r\n"]),
    ),
    min_size=1,
    max_size=4,
)


def echo(request: bytes) -> bytes | None:
    """Answer with what h11 reads in a request, once that is one whole request to h11 as well.

    Framing and type of the body are left out: they depend on whether it is held, nothing else does.
    """
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(request)
    event = judge.next_event()
    assert isinstance(event, h11.Request), "a head comes in one write"
    body = b""
    trailers: list[tuple[bytes, bytes]] = []
    while not isinstance(part := judge.next_event(), h11.EndOfMessage):
        if part is h11.NEED_DATA:
            return None
        assert isinstance(part, h11.Data)
        body += bytes(part.data)
    trailers = list(part.headers)
    assert judge.trailing_data == (b"", False)
    framing = {b"content-length", b"transfer-encoding", b"trailer", b"content-type"}
    fields = [field for field in event.headers if field[0] not in framing]
    seen = repr((event.method, event.target, fields, body, trailers)).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen)
    return head if event.method == b"HEAD" else head + seen


def split(stream: bytes, positions: list[int]) -> list[bytes]:
    cuts = sorted({0, len(stream), *(position % len(stream) for position in positions)})
    return [stream[start:end] for start, end in pairwise(cuts)]


def feed(rig: Rig, parts: list[bytes], turns: list[bool]) -> MemoryTransport:
    """Send `parts` over a new connection, with time for the node's answers where `turns` says so."""
    rig.node().answers = echo
    client = rig.client()
    for index, part in enumerate(parts):
        client.send(part)
        if turns and turns[index % len(turns)]:
            rig.run()
    rig.run()
    return client


# How long a body may be that is held: none, those of a few bytes, all.
REPLAY_LIMITS = st.sampled_from([0, 7, 1 << 20])


@given(REQUESTS, SPLITS, st.lists(st.booleans(), max_size=5), REPLAY_LIMITS)
@settings(deadline=None, max_examples=examples(200))
def test_however_a_stream_is_split_its_answers_are_the_same(
    requests: list[Request], positions: list[int], turns: list[bool], replay_max_bytes: int
) -> None:
    """And whether bodies are held or pass through."""
    stream = b"".join(request.render() for request in requests)
    with Rig() as rig:
        expected = feed(rig, [stream], []).take()
    assert expected.count(b"X-PrioLB-QueueSizeEnd") == len(requests)
    with Rig(replay_max_bytes=replay_max_bytes) as rig:
        client = feed(rig, split(stream, positions), turns)
        assert client.take() == expected
        assert not client.is_closing()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Some requests, of which some bytes were lost, changed, doubled or added."""
    stream = bytearray(b"".join(request.render() for request in draw(REQUESTS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(stream)))
        until = at + draw(st.integers(0, 8))
        stream[at:until] = draw(
            st.one_of(
                st.just(b""),
                st.binary(min_size=1, max_size=3),
                st.just(bytes(stream[at:until]) * 2),
                st.sampled_from(
                    [
                        b"\r\n",
                        b"\n",
                        b"\0",
                        b" ",
                        b":",
                        b"Content-Length: 5\r\n",
                        b"Transfer-Encoding: chunked\r\n",
                    ]
                ),
            )
        )
    return bytes(stream) or b"\r"


@given(damaged(), SPLITS, st.lists(st.booleans(), max_size=5), REPLAY_LIMITS)
@settings(deadline=None, max_examples=examples(400))
def test_whatever_is_wrong_with_a_stream_the_connection_serves_on_or_ends_in_time(
    stream: bytes, positions: list[int], turns: list[bool], replay_max_bytes: int
) -> None:
    """What reaches a node whole is one request to h11 as well; `Rig` checks that all is given back."""
    with Rig(replay_max_bytes=replay_max_bytes) as rig:
        client = feed(rig, split(stream, positions), turns)
        front = client._protocol
        assert isinstance(front, FrontConnection)
        if client.is_ended:
            return
        client.take()
        if front._state == AT_HEAD and not front._waiting:
            client.send(POST)
            rig.run()
            echoed = echo(POST_AT_NODE)
            assert echoed is not None
            assert client.take() == answer_at_client(echoed.partition(b"\r\n\r\n")[2])
            return
        rig.advance(30.1)
        assert client.take().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert client.is_ended
