"""Messages as they stand on the wire around the balancer, for tests that compare every byte."""

import json

POST = b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n{}"
POST_AT_NODE = (
    b"POST / HTTP/1.1\r\nHost: node-1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def timings(queue_us: int = 0, node_us: int = 0, total_us: int = 0, start: int = 1, end: int = 0) -> bytes:
    """Return the fields of ours in the answer of a node."""
    return (
        b"X-PrioLB-QueueDurationUs: %d\r\nX-PrioLB-SimDurationUs: %d\r\nX-PrioLB-TotalDurationUs: %d\r\n"
        b"X-PrioLB-QueueSizeStart: %d\r\nX-PrioLB-QueueSizeEnd: %d\r\n"
        % (queue_us, node_us, total_us, start, end)
    )


def answer_at_client(
    body: bytes = b"[]", times: bytes = timings(), status: bytes = b"200 OK", connection: bytes = b""
) -> bytes:
    """Return the answer of a node that said no more than its length, as a client gets it."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: application/json\r\n%s%s\r\n%s" % (
        status,
        len(body),
        times,
        connection,
        body,
    )


def problem(status: bytes, words: str, fields: bytes = b"") -> bytes:
    """Return an answer of the balancer's own to a request that is no JSON-RPC.

    Args:
        status: status and reason phrase.
        words: what is wrong, its title in front of the first colon.
        fields: further header lines, rendered.
    """
    document = {
        "type": "about:blank",
        "title": words.partition(":")[0],
        "status": int(status[:3]),
        "detail": words,
    }
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return b"HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%s\r\n%s" % (
        status,
        len(body),
        fields,
        body,
    )


CLOSE = b"Connection: close\r\n"
RETRY_AFTER = b"Retry-After: 1\r\n"
