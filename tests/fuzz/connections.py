"""Whole connections of clients, between the model's reading of what they send and h11 as the node."""

from contextlib import suppress
from random import Random

import h11

from fuzz import reference
from fuzz.heads import is_refused
from fuzz.judges import JudgedNode, Received, Seen, read_answer
from fuzz.reference import Head, IncompleteError, MalformedError, Request
from fuzz.split import chance_of, parts_of
from priolb.http.forwarding import Forwarding
from support.memory import MemoryTransport
from support.messages import VIA_NAME
from support.rig import Rig

MANNERS = ["sized", "sized", "large", "chunked", "close", "early", "interim", "switching"]

# Longer than any time limit, so that whatever is not over by then would never be.
FOR_EVER_S = 1000.0

_MAX_BODY_BYTES = 64


def connections(data: bytes) -> None:
    """What reaches the node is what the model reads, in order, and each answer goes to its own request."""
    chance = chance_of(data)
    manner = chance.choice(MANNERS)
    max_body_bytes = chance.choice([0, _MAX_BODY_BYTES, 1 << 20])
    with Rig(
        max_tries=1,
        replay_max_bytes=chance.choice([4, 1 << 20]),
        max_body_bytes=max_body_bytes,
        forwarding=Forwarding(VIA_NAME, "http", tells_client=chance.random() < 0.5, trusted=()),
    ) as rig:
        node = JudgedNode(rig, rig.node(), manner)
        client = rig.client()
        is_calm = send(rig, client, node, data, chance)
        rig.advance(FOR_EVER_S)
        assert client.is_ended, "it hangs"
        output, was_reset = client.take(), client.was_reset
    stream = _Stream(data, max_body_bytes)
    passed = [request for request in stream.requests if not _ends_here(request.head)]
    check_requests(node.requests, passed, stream)
    found = check_answers(output, stream, manner, is_cut=was_reset)
    if is_calm:
        check_all_answered(found, stream, manner)
    _check_second_judge(data, stream.requests[: len(node.requests)])


def send(rig: Rig, client: MemoryTransport, node: JudgedNode, data: bytes, chance: Random) -> bool:
    """Send `data` in parts; return False when the client did what a good one does not: dawdle, or leave."""
    mood = chance.choice(["calm", "calm", "slow to send", "slow to read", "leaves"])
    for part in parts_of(data):
        if mood == "slow to read":
            client.stop_reading(chance.choice([0, 10, 1000]))
        client.send(part)
        if mood == "slow to send" or chance.random() < 0.7:
            node.serve()
        if mood == "slow to send":
            rig.advance(chance.choice([0.5, 5.0, 20.0]))
        if mood == "slow to read" and chance.random() < 0.7:
            client.read()
    node.serve()
    client.read()
    node.serve()
    if mood == "leaves" and client.is_reading():
        client.end() if chance.random() < 0.5 else client.break_off()
        node.serve()
    return mood in {"calm", "slow to read"}


class _Stream:
    """What a client has sent, as the model reads it.

    `requests` are whole; `tail` is the head of what follows them, if that has a good one.
    """

    def __init__(self, data: bytes, max_body_bytes: int) -> None:
        self.requests, _ = reference.read_requests(data)
        self.max_body_bytes = max_body_bytes
        start = reference.skip_empty_lines(data, self.requests[-1].body.end if self.requests else 0)
        self.tail: Head | None = None
        with suppress(MalformedError, IncompleteError):
            self.tail = reference.read_request_head(data, start)

    def is_refused(self, request: Request) -> bool:
        """Return whether the balancer refuses a good request, and ends the connection with that."""
        head, size = request.head, len(request.body.data)
        members = [member.split()[1:2] for value in head.values(b"via") for member in value.split(b",")]
        return (
            is_refused(head)
            or (self.max_body_bytes > 0 and size > self.max_body_bytes)
            or [VIA_NAME.encode()] in members
            or (_ends_here(head) and head.length != 0)
        )


def _ends_here(head: Head) -> bool:
    """Return whether a request may not be forwarded (Max-Forwards)."""
    limits = head.values(b"max-forwards")
    is_zero = len(limits) == 1 and limits[0].isdigit() and int(limits[0]) == 0
    return head.method in {b"TRACE", b"OPTIONS"} and is_zero


def check_requests(seen: list[Seen], expected: list[Request], stream: _Stream) -> None:
    """Check that a node has seen what the client has sent, in that order, and nothing else."""
    for request, model in zip(seen, expected, strict=False):
        assert (request.method, request.target) == (model.head.method, target_at_node(model.head))
        if request.is_whole:
            assert request.body == model.body.data
        else:
            assert model.body.data.startswith(request.body)
    more = seen[len(expected) :]
    if more:
        # One that is not whole, or breaks its own framing later on, may have begun to pass through.
        [request] = more
        assert stream.tail is not None
        assert (request.method, request.target) == (stream.tail.method, target_at_node(stream.tail))
        assert not request.is_whole


def target_at_node(head: Head) -> bytes:
    target = head.target
    if not target.startswith(b"/") and target != b"*":
        rest = target.partition(b"://")[2]
        authority = rest.partition(b"?")[0].partition(b"/")[0]
        target = rest[len(authority) :]
        target = target if target.startswith(b"/") else b"/" + target
    path, mark, query = target.partition(b"?")
    if path == b"/sim":
        path = b"/"
    return path + mark + query


def check_answers(output: bytes, stream: _Stream, manner: str, is_cut: bool) -> int:
    """Check that each answer is a good one to the request in its place; return how many there are."""
    found: list[Received] = []
    requests = stream.requests
    while output:
        head = requests[len(found)].head if len(found) < len(requests) else stream.tail
        method = b"GET" if head is None else head.method
        answer, rest = read_answer(output, method, is_ended=not is_cut)
        if answer is None or not (answer.is_whole or answer.status == 101):
            assert is_cut or answer is None, "a part of an answer, in order"
            break
        if answer.status == 101:
            assert manner == "switching"
            assert rest.startswith(b"hello")
            return len(found) + 1
        if answer.status < 200:
            break  # leave to send a body, which did not come
        if method == b"HEAD" and not answer.is_of_node:
            rest = b""  # refused before anybody knew that it is one
        assert len(rest) < len(output)
        output = rest
        found.append(answer)
        if answer.is_of_node:
            assert head is not None
            assert answer.seen == b"%s %s" % (head.method, target_at_node(head))
    assert len(found) <= len(requests) + 1, "more answers than requests"
    return len(found)


def check_all_answered(answers: int, stream: _Stream, manner: str) -> None:
    """Check that every good request was answered, up to one that ends the connection."""
    due = 0
    for request in stream.requests:
        if stream.is_refused(request):
            break
        due += 1
        head = request.head
        if (
            not head.keeps_alive
            or (manner in {"close", "chunked"} and head.minor == 0)
            or head.values(b"upgrade")
        ):
            break
        if manner == "early" and head.length != 0:
            break
    assert answers >= due, "a good request without an answer"


def _check_second_judge(data: bytes, requests: list[Request]) -> None:
    """Check that h11 reads from the client's stream the requests that were served."""
    for model in requests:
        data = data[reference.skip_empty_lines(data, 0) :]
        if any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in model.body.trailers):
            return  # h11 minds what they say even there, where they say nothing
        judge = h11.Connection(h11.SERVER, 1 << 20)
        judge.receive_data(data)
        body = b""
        event = judge.next_event()
        assert isinstance(event, h11.Request)
        assert (event.method, event.target) == (model.head.method, model.head.target)
        while isinstance(event := judge.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        assert body == model.body.data
        data = judge.trailing_data[0]
