"""Heads of messages from lines, and all that was made of one."""

import pytest

from priolb.errors import ClientError
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.parser import parse_request_head

MAX_FIELDS = 100


def head_bytes(start: str, *lines: str) -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


def request_head(start: str = "POST / HTTP/1.1", *lines: str) -> RequestHead:
    """Return a head with these lines behind its start line and a Host line."""
    return parse_request_head(head_bytes(start, "Host: a", *lines), MAX_FIELDS)


def refused(data: bytes, max_fields: int = MAX_FIELDS) -> tuple[int, str]:
    """Return with which status and words the head of a request is refused."""
    with pytest.raises(ClientError) as error:
        parse_request_head(data, max_fields)
    return error.value.status, str(error.value)


def values_of(head: RequestHead | ResponseHead) -> dict[str, object]:
    return {name: getattr(head, name) for name in dir(head) if not name.startswith("_")}
