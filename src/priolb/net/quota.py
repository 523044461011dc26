"""What clients are told of their limits."""

from __future__ import annotations

from priolb.core.quotas.limiter import Count, Excess, Grant
from priolb.http.messages import LocalResponse
from priolb.http.rate_limit_fields import limit_fields, service_item, whole_seconds
from priolb.http.refusal import Refusals


def granted_fields(grant: Grant) -> bytes:
    """Return the fields of the answer to a request that is within its limits; empty when nothing is told."""
    return _fields(grant.counts, is_granted=True)


def over_limit(refusals: Refusals, excess: Excess, body: bytes) -> LocalResponse:
    """Return the answer to a request that is over a limit.

    Args:
        refusals: makes the answers.
        excess: which limit, and by how much.
        body: the request's body, as far as it is known.
    """
    worst = excess.worst
    fields = _fields(excess.counts, is_granted=False)
    return refusals.over_limit(body, worst.rule.limit.name, whole_seconds(worst.wait_ns), fields)


def _fields(counts: list[Count], is_granted: bool) -> bytes:
    told = [count for count in counts if count.rule.is_told]
    if not told:
        return b""
    services: list[bytes] = []
    for count in told:
        limit = count.rule.limit
        level = count.level if is_granted else limit.before(count.level, count.cost)
        services.append(service_item(limit.name, limit.left(level), limit.renewal_ns(level)))
    return limit_fields([count.rule.policy for count in told], services)
