"""Requests for the program itself, parsed as those of a client are, and a log to look into."""

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


class RecordingLog:
    """Keeps every line as level, message and fields."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("debug", msg, fields))

    def info(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("info", msg, fields))

    def warning(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("warning", msg, fields))

    def error(self, msg: str, /, **fields: object) -> None:
        self.lines.append(("error", msg, fields))
