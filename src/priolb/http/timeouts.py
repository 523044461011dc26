"""How long a client is willing to wait, as it says itself."""

from __future__ import annotations

import re
from math import inf
from typing import Final

from priolb.errors import ClientError

_SECONDS: Final = re.compile(rb"[0-9]{1,6}(?:\.[0-9]{1,9})?")

# gRPC over HTTP/2, "Requests": at most eight digits and a unit.
_GRPC: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def timeout_of(known: dict[bytes, bytes]) -> float:
    """Return for how long the client waits for the head of an answer, seconds; infinity when it does not say.

    `X-Request-Timeout` is a decimal number of seconds, `grpc-timeout` a number and a unit as in gRPC. Of both
    the shorter counts.

    Args:
        known: values of the request's fields by lower-case name.

    Raises:
        ClientError: 400, one of them is malformed, repeated, or no time at all.
    """
    timeout_s = inf
    value = known.get(b"x-request-timeout")
    if value is not None:
        if not _SECONDS.fullmatch(value) or not float(value):
            raise ClientError(400, "malformed request: X-Request-Timeout is not a number of seconds above 0")
        timeout_s = float(value)
    value = known.get(b"grpc-timeout")
    if value is not None:
        found = _GRPC.fullmatch(value)
        if found is None or not int(found[1]):
            raise ClientError(400, "malformed request: grpc-timeout is not a number above 0 with a unit")
        timeout_s = min(timeout_s, int(found[1]) * _UNITS_S[found[2]])
    return timeout_s
