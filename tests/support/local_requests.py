"""Requests for the program itself, parsed as those of a client are."""

from priolb.http.messages import LocalRequest
from priolb.http.parser import parse_request_head


def local_request(
    method: str, target: str, body: bytes = b"", peer: str = "127.0.0.1", fields: tuple[str, ...] = ()
) -> LocalRequest:
    """Return a request with these further header lines."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        *fields,
        "",
        "",
    ]
    return LocalRequest(parse_request_head("\r\n".join(lines).encode(), 100), body, peer)
