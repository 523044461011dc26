"""Nodes in words."""

import re

import pytest

from priolb.core.fleet import Fleet
from priolb.core.node import NodeState
from priolb.core.status import NodeChange, NodeStatus
from priolb.nodes.report import detail_of, detail_of_unusable, log_change
from support.local_requests import RecordingLog

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
    NodeStatus.UNATTESTED: ("warning", "Node has not proved what it runs"),
    NodeStatus.UNCHECKED: ("info", "Node has not been checked yet"),
}


@pytest.mark.parametrize("status", NodeStatus)
def test_each_change_is_one_line_with_its_reason(status: NodeStatus) -> None:
    log, node = RecordingLog(), NodeState(1, "http://a", 8)
    log_change(log, NodeChange(node, NodeStatus.UNCHECKED, status, "because"))
    [(level, message, fields)] = log.lines
    assert (level, message) == MESSAGES[status]
    assert fields["nodeURI"] == "http://a"
    assert fields["err" if level == "warning" else "reason"] == "because"


def test_details_tell_all_that_is_known_of_a_node() -> None:
    fleet, node = Fleet(), NodeState(7, "http://a", 8, weight=3, tier=1)
    fleet.add(node, 100.0)
    fleet.set_healthy(node, True, "passed", 110.0)
    node.answered, node.busy_s, node.in_flight = 10, 0.25, 2
    node.record.fail("status 500", 10, 115.0)
    detail = detail_of("http://a?_weight=3&_tier=1", node, 120.0)
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
    }


def test_a_node_without_errors_has_none_and_one_that_cannot_be_used_has_a_reason() -> None:
    fleet, node = Fleet(), NodeState(7, "http://a", 8)
    fleet.add(node, 100.0, passed=True)
    detail = detail_of("http://a", node, 120.0)
    assert (detail["last_error"], detail["last_error_at"], detail["latency_ms"]) == (None, None, 0.0)
    assert detail_of_unusable("ftp://x", "no http") == {
        "uri": "ftp://x",
        "state": "unusable",
        "reason": "no http",
    }
