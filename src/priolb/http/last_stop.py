"""The answer to a request that may not be forwarded any further (RFC 9110, section 7.6.2)."""

from __future__ import annotations

import re
from typing import Final

from priolb.http.messages import LocalResponse, RequestHead

_ALLOW: Final = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n"
# RFC 9110, section 9.3.8: what may be secret is not shown, as a script in a browser could read it here.
_SECRETS: Final = re.compile(rb"^(?:authorization|cookie|x-api-key)[^\n]*\n", re.IGNORECASE | re.MULTILINE)


def answer_of_last(head: RequestHead) -> LocalResponse:
    """Return the answer to a TRACE or OPTIONS whose last stop is here.

    A TRACE gets back what of it has arrived here: its line and its end-to-end fields.
    """
    if head.method != b"TRACE":
        return LocalResponse(200, b"", fields=_ALLOW)
    via = head.known.get(b"via")
    lines = b"TRACE %s HTTP/1.%d\r\nHost: %s\r\n" % (head.path + head.query, head.minor, head.authority)
    if via is not None:
        lines += b"Via: %s\r\n" % via
    return LocalResponse(200, lines + _SECRETS.sub(b"", head.forwarded) + b"\r\n", b"message/http")
