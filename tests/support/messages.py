"""Messages as they stand on the wire around the balancer, for tests that compare every byte."""

import json

CLOSE = b"Connection: close\r\n"
RETRY_AFTER = b"Retry-After: 1\r\n"

# By what is wrong; see RFC 9209, section 2.3.
PROXY_ERRORS = {
    "bad request": b"http_request_error",
    "Payload too large": b"http_request_error",
    "too many connections": b"http_request_denied",
    "loop detected": b"proxy_loop_detected",
    "queue full": b"connection_limit_reached",
    "expected wait too long": b"connection_limit_reached",
    "displaced by a better request": b"connection_limit_reached",
    "shed under overload": b"connection_limit_reached",
    "too many upgraded connections": b"connection_limit_reached",
    "no nodes available": b"destination_unavailable",
    "request timeout hit before processing": b"connection_limit_reached",
    "node timeout": b"http_response_timeout",
    "node unreachable": b"destination_unavailable",
    "bad answer from node": b"http_protocol_error",
    "node not attested": b"tls_certificate_error",
    "no socket left": b"proxy_internal_error",
    "shutting down": b"proxy_internal_response",
}

NOON = 1795348800.0
DATE = b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"

VIA_NAME = "lb"
VIA = b"Via: 1.1 lb\r\n"

HOST = b"Host: balancer\r\n"
POST = b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n{}"
POST_AT_NODE = (
    b"POST / HTTP/1.1\r\nHost: node-1\r\nContent-Type: application/json\r\nVia: 1.1 lb\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
FAILURE = b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops"

# The same request as often as wanted, told apart by a number.
GET = b"GET /%d HTTP/1.1\r\nHost: balancer\r\n\r\n"
GET_AT_NODE = b"GET /%d HTTP/1.1\r\nHost: node-1\r\nVia: 1.1 lb\r\n\r\n"


def post(*fields: bytes, body: bytes = b"{}") -> bytes:
    """Return `POST` with further header lines, or another body."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), lines, body)


def timings(
    queue_us: int = 0, node_us: int = 0, total_us: int = 0, start: int = 1, end: int = 0, minor: int = 1
) -> bytes:
    """Return the fields of ours in the answer of a node that spoke HTTP/1.`minor`."""
    return (
        b"X-PrioLB-QueueDurationUs: %d\r\nX-PrioLB-SimDurationUs: %d\r\nX-PrioLB-TotalDurationUs: %d\r\n"
        b"X-PrioLB-QueueSizeStart: %d\r\nX-PrioLB-QueueSizeEnd: %d\r\n"
        b"Server-Timing: queue;dur=%.3f, node;dur=%.3f\r\nVia: 1.%d lb\r\n%s"
        % (queue_us, node_us, total_us, start, end, queue_us / 1000, node_us / 1000, minor, DATE)
    )


def answer_at_client(
    body: bytes = b"[]",
    times: bytes = timings(),
    status: bytes = b"200 OK",
    connection: bytes = b"",
    is_json: bool = True,
) -> bytes:
    """Return the answer of a node that said no more than its length, as a client gets it.

    Args:
        body: its body.
        times: what `timings` returns.
        status: status and reason phrase.
        connection: the Connection field, rendered, if there is one.
        is_json: the answer is one to JSON-RPC, whose type is known though the node does not tell.
    """
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s%s%s\r\n%s" % (
        status,
        len(body),
        b"Content-Type: application/json\r\n" if is_json else b"",
        times,
        connection,
        body,
    )


def problem(status: bytes, words: str, fields: bytes = b"") -> bytes:
    """Return an answer of the balancer's own to a request that is no JSON-RPC.

    Args:
        status: status and reason phrase.
        words: what is wrong, its title in front of the first colon.
        fields: further header lines, rendered; Connection the last of them.
    """
    title = words.partition(":")[0]
    close = CLOSE if fields.endswith(CLOSE) else b""
    fields = b"%sProxy-Status: lb; error=%s\r\n%s%s" % (
        fields.removesuffix(close),
        PROXY_ERRORS[title],
        DATE,
        close,
    )
    document = {
        "type": "about:blank",
        "title": title,
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


BAD_ANSWER = problem(b"502 Bad Gateway", "bad answer from node")
UNREACHABLE = problem(b"502 Bad Gateway", "node unreachable")
NODE_TIMEOUT = problem(b"504 Gateway Timeout", "node timeout")
DEADLINE = problem(b"504 Gateway Timeout", "request timeout hit before processing")
NO_NODES = problem(b"503 Service Unavailable", "no nodes available", RETRY_AFTER)
FULL = problem(b"503 Service Unavailable", "queue full", RETRY_AFTER)
