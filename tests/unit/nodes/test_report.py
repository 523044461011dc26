"""Nodes in words."""

import re

import pytest

from priolb.attest.attestation import Attestation
from priolb.attest.verdict import Refusal, Verdict
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeChange, NodeStatus
from priolb.nodes.factory import KnownNode, Proof
from priolb.nodes.report import detail_of, detail_of_unusable, log_change
from support.memory_log import MemoryLog
from support.pool_desk import FakeTraffic

MESSAGES = {
    NodeStatus.UP: ("info", "Node is healthy"),
    NodeStatus.WARMING: ("info", "Node is healthy and starts slowly"),
    NodeStatus.DOWN: ("warning", "Node is unhealthy and will be checked again"),
    NodeStatus.EJECTED: ("warning", "Node is ejected for a while"),
    NodeStatus.PROBING: ("info", "Node has rested and gets one request"),
    NodeStatus.CORDONED: ("info", "Node is cordoned"),
    NodeStatus.DRAINING: ("info", "Node is being drained"),
    NodeStatus.DRAINED: ("info", "Node is drained"),
    NodeStatus.LAST_RESORT: ("warning", "Node is used although it is unfit, for no other is left"),
    NodeStatus.UNATTESTED: ("warning", "Node gets nothing before it has proven what it runs"),
    NodeStatus.UNCHECKED: ("info", "Node has not been checked yet"),
}


@pytest.mark.parametrize("status", NodeStatus)
def test_each_change_is_one_line_with_its_reason(status: NodeStatus) -> None:
    log, node = MemoryLog(), NodeState(1, "http://a", 8)
    log_change(log, NodeChange(node, NodeStatus.CORDONED, status, "because"))
    [(level, message, fields)] = log.lines
    assert (level, message) == MESSAGES[status]
    assert fields["nodeURI"] == "http://a"
    assert fields["err" if level == "warning" else "reason"] == "because"


@pytest.mark.parametrize("before", [NodeStatus.UP, NodeStatus.DOWN, NodeStatus.UNCHECKED, NodeStatus.EJECTED])
def test_that_a_node_stopped_proving_itself_is_not_told_beside_its_verdict(before: NodeStatus) -> None:
    log, node = MemoryLog(), NodeState(1, "https://a", 8)
    log_change(log, NodeChange(node, before, NodeStatus.UNATTESTED, "tcb_status: OutOfDate"))
    assert log.lines == []


def test_details_tell_all_that_is_known_of_a_node() -> None:
    fleet, node = Fleet(), NodeState(7, "http://a", 8, weight=3, tier=1)
    fleet.add(node, 100.0)
    fleet.set_healthy(node, True, "passed", 110.0)
    node.answered, node.busy_s, node.in_flight = 10, 0.25, 2
    node.record.fail("status_5xx", "status 500", 10, 115.0)
    detail = detail_of("http://a?_weight=3&_tier=1", KnownNode(node, None), 120.0)
    times = [str(detail.pop(name)) for name in ("since", "last_error_at")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    assert times[0] < times[1]
    assert detail == {
        "uri": "http://a?_weight=3&_tier=1",
        "state": "up",
        "reason": "passed",
        "in_flight": 2,
        "slots": 8,
        "workers": 8,
        "weight": 3,
        "tier": 1,
        "latency_ms": 25.0,
        "success_ratio": 0.99,
        "answered": 10,
        "failed": 1,
        "last_error": "status 500",
        "changes": {"unchecked": 1, "up": 1},
        "attestation": None,
    }


def test_a_node_without_errors_has_none_and_one_that_cannot_be_used_has_a_reason() -> None:
    fleet, node = Fleet(), NodeState(7, "http://a", 8)
    fleet.add(node, 100.0, passed=True)
    detail = detail_of("http://a", KnownNode(node, None), 120.0)
    assert (detail["last_error"], detail["last_error_at"], detail["latency_ms"]) == (None, None, 0.0)
    assert detail_of_unusable("ftp://x", "no http") == {
        "uri": "ftp://x",
        "state": "unusable",
        "reason": "no http",
    }


class Script:
    """A verifier that says what it is told to."""

    kind = "SGX"

    def __init__(self) -> None:
        self.verdict = Verdict("SGX")

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        return host, b""

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        return self.verdict

    def verify_again(self, leaf: bytes) -> Verdict | None:
        return None


def test_details_tell_what_a_node_has_proven() -> None:
    traffic, script = FakeTraffic(), Script()
    node = NodeState(7, "https://a", 8)
    proof = Proof(traffic)
    proof.node, proof.attestation = node, Attestation(script, proof.change)
    traffic.registered.append(node)
    traffic.attach(node)

    def shown() -> dict[str, object]:
        found = detail_of("https://SGX_00@a", KnownNode(node, proof), traffic.now)["attestation"]
        assert isinstance(found, dict)
        return found

    pending: dict[str, object] = {
        "kind": "SGX",
        "state": "pending",
        "reason": None,
        "detail": None,
        "since": None,
        "accepted": 0,
        "refused": {},
        "warned": 0,
        "platform": None,
        "warnings": [],
    }
    assert shown() == pending
    script.verdict = Verdict("SGX", Refusal.TCB_STATUS, "OutOfDate", platform=("00606A000000", "platform"))
    for _ in range(2):
        proof.attestation.judge(b"", b"")
    refused = shown()
    first_since = str(refused.pop("since"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first_since)
    assert refused == {
        "kind": "SGX",
        "state": "refused",
        "reason": "tcb_status",
        "detail": "OutOfDate",
        "accepted": 0,
        "refused": {"tcb_status": 2},
        "warned": 0,
        "platform": {"fmspc": "00606A000000", "ca": "platform"},
        "warnings": [],
    }
    traffic.now += 5
    script.verdict = Verdict("SGX", warnings=("PCR 7 differs",))
    proof.attestation.judge(b"", b"")
    attested = shown()
    assert (str(attested.pop("since")) >= first_since, proof.changed_at) == (True, traffic.now)
    assert attested == {
        "kind": "SGX",
        "state": "attested",
        "reason": None,
        "detail": None,
        "accepted": 1,
        "refused": {"tcb_status": 2},
        "warned": 1,
        "platform": None,
        "warnings": ["PCR 7 differs"],
    }
