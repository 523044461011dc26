"""What metrics are read from, with nothing running."""

from priolb.attest.attestation import Attestation
from priolb.attest.verdict import Refusal, Verdict
from priolb.core.limits.limiter import BY_NETWORK, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit
from priolb.core.nodes.fleet import Fleet
from priolb.core.queueing.queue import PriorityQueue
from priolb.telemetry.metric import Facts, Node
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog
from support.pipe_log import Log
from support.tickets import new_queue, node, ticket


class Script:
    """A verifier that says one thing after the other."""

    kind = "SGX"

    def __init__(self, *verdicts: Verdict) -> None:
        self._verdicts = iter(verdicts)

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        return host, b""

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        return next(self._verdicts)

    def verify_again(self, leaf: bytes) -> Verdict | None:
        return None


def attestation(*verdicts: Verdict) -> Attestation:
    """Return an attestation that came to these verdicts."""
    made = Attestation(Script(*verdicts), lambda verdict: None)
    for _ in verdicts:
        made.judge(b"", b"")
    return made


def some_nodes() -> list[Node]:
    """Return a node that works and had failures, and one that has to prove itself and does not."""
    fleet, works, unproven = Fleet(), node(1, slots=8, healthy=False), node(2, slots=4, healthy=False)
    fleet.add(works, 10.0)
    fleet.set_healthy(works, True, "passed", 11.0)
    works.answered, works.busy_s = 40, 2.5
    for failure in ("status_5xx", "node_timeout", "status_5xx"):
        works.record.fail(failure, "in words", 40, 12.0)
    for _ in range(3):
        fleet.free.reserve(works)
    fleet.add(unproven, 10.0)
    fleet.set_attested(unproven, False, "it shows nothing", 11.0)
    verdicts = (
        *(Verdict("SGX"), Verdict("SGX"), Verdict("SGX", warnings=("PCR 7 differs",))),
        *(Verdict("SGX", Refusal.TCB_STATUS, "OutOfDate"), Verdict("SGX", Refusal.MRENCLAVE, "another")),
        Verdict("SGX", Refusal.TCB_STATUS, "OutOfDate"),
    )
    return [(works, None), (unproven, attestation(*verdicts))]


def some_queue() -> PriorityQueue:
    """Return a queue of lanes of which the first has a limit, and in which three requests wait."""
    queue = new_queue(limits=(10, 0, 0))
    for name in ("f1", "l1", "l2"):
        waiting = ticket(name)
        waiting.body_bytes = 100
        assert queue.push(waiting)
    return queue


def some_limits() -> list[LimitRule]:
    """Return a limit that three requests have passed, and one has not."""
    limit = ConcurrencyLimit("at-a-time", 3)
    for _ in range(4):
        limit.take(b"somebody", 1, 1)
    return [LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, is_dry=False, policy=b"")]


def some_facts(log: Log) -> Facts:
    """Return facts of which every metric has something to say."""
    requests = RequestLog(log.logger)
    for lane, reason in ((0, "queue_full"), (2, "deadline"), (2, "deadline")):
        requests.refused(b"", lane, reason, 503, 7.5)
    for status in (431, 400, 400, 0):
        requests.rejected(b"", "127.0.0.1", status, "because", 7.0)
    requests.client_left(b"", 1, 1, 60)
    for _ in range(2):
        requests.preempted(b"", 2, "http://a", b"")
    log.logger._writer.lost_lines = 3
    pulse = Pulse()
    pulse.stalls[0], pulse.stalls[5], pulse.stalls[9], pulse.stalled_s = 100, 2, 1, 1.75
    return Facts(some_nodes(), some_queue(), requests, pulse, some_limits())
