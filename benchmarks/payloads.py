"""The bodies and requests that all benchmarks send: JSON-RPC of 60 B, 64 KB and, as an answer, 16 MB."""

from __future__ import annotations

from typing import Final

SMALL_BYTES: Final = 60
LARGE_BYTES: Final = 64 * 1024
HUGE_BYTES: Final = 16 * 1024 * 1024

# What a node answers at once in every mode, and what balancers send to check a node's health.
PROBE_METHOD: Final = "net_version"
# A small call whose answer is huge.
HUGE_METHOD: Final = "eth_huge"


def _padded(start: str, end: str, length_bytes: int) -> bytes:
    """Return `start`, as many zeros as it takes, and `end`."""
    return (start + "0" * (length_bytes - len(start) - len(end)) + end).encode()


def call(method: str, length_bytes: int) -> bytes:
    """Return a JSON-RPC call of exactly this length."""
    return _padded(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":["0x', '"]}', length_bytes)


SMALL_CALL: Final = call("eth_sim", SMALL_BYTES)
LARGE_CALL: Final = call("eth_sim", LARGE_BYTES)
HUGE_CALL: Final = call(HUGE_METHOD, SMALL_BYTES)
PROBE_CALL: Final = call(PROBE_METHOD, 64)
SMALL_RESULT: Final = _padded('{"jsonrpc":"2.0","id":1,"result":"0x', '"}', SMALL_BYTES)
LARGE_RESULT: Final = _padded('{"jsonrpc":"2.0","id":1,"result":"0x', '"}', LARGE_BYTES)
HUGE_RESULT: Final = _padded('{"jsonrpc":"2.0","id":1,"result":"0x', '"}', HUGE_BYTES)


def http_request(body: bytes, *fields: str) -> bytes:
    """Return a whole POST request with this body and these further header lines."""
    lines = [
        "POST / HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def http_answer(body: bytes) -> bytes:
    """Return a whole answer with status 200 and this body."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def content_length(head: bytes) -> int:
    """Return the body length that a head announces, 0 when it announces none.

    A search and not a parser: the peers write well-formed heads, and the node must cost little.
    """
    name_at = head.lower().find(b"\r\ncontent-length:")
    if name_at < 0:
        return 0
    value_at = name_at + len(b"\r\ncontent-length:")
    return int(head[value_at : head.index(b"\r", value_at)])
