"""Heads of messages from lines, and all that was made of one."""

from priolb.http.messages import RequestHead, ResponseHead


def head_bytes(start: str, *lines: str) -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


def values_of(head: RequestHead | ResponseHead) -> dict[str, object]:
    return {name: getattr(head, name) for name in dir(head) if not name.startswith("_")}
