"""What clients are told of their limits."""

from __future__ import annotations

from priolb.core.limits.limiter import Count, Excess, Grant
from priolb.http.call_error import CallError
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.rate_limit_fields import limit_fields, service_item, whole_seconds
from priolb.http.refusal import Refusals
from priolb.http.rpc_id import plain_id


class Denial:
    """What a call over a limit was told, which whoever asks again too early is told again.

    It costs a fraction of finding the same out anew, which is what a client without patience makes us do.

    Args:
        head: head of the request.
        count: what that came to in its limit.
        error: what it was told.
        until: as long as this is true, monotonic seconds.
    """

    __slots__ = ("_count", "_head", "_until", "error")

    def __init__(self, head: RequestHead, count: Count, error: CallError, until: float) -> None:
        self._head = head
        self._count = count
        self._until = until
        self.error = error

    def id_of(self, head: RequestHead, body: bytes, now: float) -> bytes:
        """Return the id of another call if it is denied by this; then it is counted. Else empty.

        Args:
            head: head of the request.
            body: its body, as far as it is known.
            now: monotonic seconds.
        """
        if head is not self._head or now >= self._until:
            return b""
        call_id = plain_id(body)
        if call_id:
            self._count.refuse_again()
        return call_id


def granted_fields(grant: Grant) -> bytes:
    """Return the fields of the answer to a request that is within its limits; empty when nothing is told."""
    return _fields(grant.counts, is_granted=True)


def over_limit(refusals: Refusals, excess: Excess) -> CallError:
    """Return what calls are told that are over a limit.

    Args:
        refusals: makes the answers.
        excess: which limit, and by how much.
    """
    worst = excess.worst
    fields = _fields(excess.counts, is_granted=False)
    return refusals.over_limit(worst.rule.limit.name, whole_seconds(worst.wait_ns), fields)


def answer_over_limit(refusals: Refusals, excess: Excess, body: bytes) -> LocalResponse:
    """Return the answer to a request of any kind that is over a limit.

    Args:
        refusals: makes the answers.
        excess: which limit, and by how much.
        body: the request's body, as far as it is known.
    """
    return refusals.answer_over_limit(over_limit(refusals, excess), excess.worst.rule.limit.name, body)


def denial_of(excess: Excess, head: RequestHead, error: CallError, now: float) -> Denial | None:
    """Return what stays true of a request over a limit; None where nobody knows for how long.

    Args:
        excess: of a request whose body does not matter for it.
        head: its head.
        error: what `over_limit` says of it.
        now: monotonic seconds.
    """
    worst = excess.worst
    stands_ns = worst.rule.limit.stands_ns(worst.level, worst.cost) if excess.is_alone else 0
    return Denial(head, worst, error, now + stands_ns / 1e9) if stands_ns else None


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
