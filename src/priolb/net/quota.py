"""What clients are told of their limits."""

from __future__ import annotations

from priolb.core.quotas.limiter import Count, Excess, Grant
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.rate_limit_fields import limit_fields, service_item, whole_seconds
from priolb.http.refusal import CallError, Refusals
from priolb.http.rpc_id import plain_id


class Denial:
    """The answer to a request over a limit, which whoever asks again too early gets again.

    It costs a fraction of finding the same out anew, which is what a client without patience makes us do.

    Args:
        head: head of the request.
        count: what that came to in its limit.
        error: what calls are told.
        until: as long as this is told, monotonic seconds.
    """

    __slots__ = ("_count", "_error", "_head", "_until")

    def __init__(self, head: RequestHead, count: Count, error: CallError, until: float) -> None:
        self._head = head
        self._count = count
        self._error = error
        self._until = until

    def again(self, head: RequestHead, body: bytes, now: float) -> LocalResponse | None:
        """Return the answer to another request, which is refused by it; None when that is to be found out.

        Args:
            head: its head.
            body: its body, as far as it is known.
            now: monotonic seconds.
        """
        if head is not self._head or now >= self._until:
            return None
        call_id = plain_id(body)
        if not call_id:
            return None
        self._count.refuse_again()
        return self._error.answer(call_id)


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


def denial_of(refusals: Refusals, excess: Excess, head: RequestHead, now: float) -> Denial | None:
    """Return what `over_limit` answers as long as it stands; None where something else may change it.

    Args:
        refusals: as there.
        excess: as there, of a request whose body does not matter for it.
        head: the head of the request.
        now: monotonic seconds.
    """
    worst = excess.worst
    limit = worst.rule.limit
    stands_ns = limit.stands_ns(worst.level, worst.cost) if excess.is_alone else 0
    if not stands_ns:
        return None
    fields = _fields(excess.counts, is_granted=False)
    error = refusals.over_limit_error(limit.name, whole_seconds(worst.wait_ns), fields)
    return None if error is None else Denial(head, worst, error, now + stands_ns / 1e9)


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
