"""Requests with bodies that pass through a rig, as it holds no more than 100 bytes."""

from support.memory import MemoryTransport
from support.messages import HOST, VIA
from support.rig import MemoryNode, Rig

GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
GET_AT_NODE = b"GET /a HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"\r\n"
REPLAY = 100
# What has to be there of a longer body before it passes through.
START = b"s" * (REPLAY + 1)


def rig(**settings: object) -> Rig:
    return Rig(replay_max_bytes=REPLAY, **settings)  # type: ignore[arg-type]


def upload(size_bytes: int, method: bytes = b"PUT") -> bytes:
    """The head of a request with a body of this length."""
    return b"%s /a HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (method, HOST, size_bytes)


CHUNKED = b"PUT /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def head_at_node(size_bytes: int) -> bytes:
    return b"PUT /a HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"Content-Length: %d\r\n\r\n" % size_bytes


def begun(rig: Rig, left_bytes: int) -> tuple[MemoryNode, MemoryTransport, MemoryTransport]:
    """Return a node and both ends of an upload that has begun to pass through, all but so many bytes."""
    node, client = rig.node(), rig.client()
    client.send(upload(len(START) + left_bytes) + START)
    call = node.accept()
    assert call.take() == head_at_node(len(START) + left_bytes) + START
    return node, client, call
