"""What metrics are read from."""

from priolb.core.nodes.node import NodeState
from priolb.telemetry.metric import Facts
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog
from support.pipe_log import OpenLog
from support.tickets import new_queue


def test_nodes_of_the_same_name_are_told_apart_by_their_place_in_the_list(open_log: OpenLog) -> None:
    names = ["http://a", "http://b", "http://a", "http://a", "http://b"]
    nodes = [(NodeState(index, name, 1), None) for index, name in enumerate(names)]
    facts = Facts(nodes, new_queue(), RequestLog(open_log().logger), Pulse())
    assert [(label, node.node_id) for label, (node, _) in facts.nodes.items()] == [
        ("http://a", 0),
        ("http://b", 1),
        ("http://a#2", 2),
        ("http://a#3", 3),
        ("http://b#2", 4),
    ]
