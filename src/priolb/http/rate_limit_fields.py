"""RateLimit-Policy and RateLimit: what a caller may ask for, and how much of it is left.

Source: draft-ietf-httpapi-ratelimit-headers-11. Both are lists of strings with parameters (RFC 9651). In the
first, a policy has its quota `q`, unit `qu` and window `w` in seconds; in the second, what is available `r`
and for how many seconds `t` there is no more than that.
"""

from __future__ import annotations

from typing import Final

_NS_PER_S: Final = 1_000_000_000


def policy_item(name: str, quota: int, window_s: int) -> bytes:
    """Return an item of RateLimit-Policy.

    Args:
        name: name of the policy, of letters, digits, `-`, `.` and `_`.
        quota: how much is allowed in the window.
        window_s: its length in seconds; 0 when it is requests at a time that are bounded.
    """
    if window_s:
        return b'"%s";q=%d;w=%d' % (name.encode(), quota, window_s)
    return b'"%s";q=%d;qu="concurrent-requests"' % (name.encode(), quota)


def service_item(name: str, left: int, renewal_ns: int) -> bytes:
    """Return an item of RateLimit.

    Args:
        name: name of the policy.
        left: how much is available, in the unit of the policy.
        renewal_ns: nanoseconds until that is more; 0 when nobody knows.
    """
    if renewal_ns:
        return b'"%s";r=%d;t=%d' % (name.encode(), left, whole_seconds(renewal_ns))
    return b'"%s";r=%d' % (name.encode(), left)


def whole_seconds(time_ns: int) -> int:
    """Return nanoseconds as seconds, rounded up: nobody is told to come back too early."""
    return -(-time_ns // _NS_PER_S)


def limit_fields(policies: list[bytes], services: list[bytes]) -> bytes:
    """Return both fields with these items, rendered; empty when there are none."""
    if not policies:
        return b""
    return b"RateLimit-Policy: %s\r\nRateLimit: %s\r\n" % (b", ".join(policies), b", ".join(services))
