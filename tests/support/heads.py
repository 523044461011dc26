"""Heads of messages from lines, and all that was made of one."""

from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.parser import parse_request_head


def head_bytes(start: str, *lines: str) -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


def request_head(start: str = "POST / HTTP/1.1", *lines: str) -> RequestHead:
    """Return a head with these lines behind its start line and a Host line."""
    return parse_request_head(head_bytes(start, "Host: a", *lines), max_fields=100)


def values_of(head: RequestHead | ResponseHead) -> dict[str, object]:
    return {name: getattr(head, name) for name in dir(head) if not name.startswith("_")}
