"""How a change of a node shows itself."""

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeChange, NodeStatus


def test_a_change_shows_node_states_and_reason() -> None:
    change = NodeChange(NodeState(1, "http://a", 8), NodeStatus.UP, NodeStatus.DOWN, "refused")
    assert repr(change) == "<NodeChange http://a up -> down: refused>"


def test_words_of_states_are_as_they_stand_in_logs_and_in_the_admin_api() -> None:
    assert [status.value for status in NodeStatus] == [
        *("drained", "draining", "cordoned", "unattested", "last-resort", "unchecked"),
        *("down", "ejected", "probing", "warming", "up"),
    ]
