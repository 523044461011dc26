"""Second tries that begin after a quarter of a second."""

from priolb.core.retries.hedge import Hedging
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import POST, POST_AT_NODE
from support.rig import Rig

LOW = 2
DELAY_S = 0.25
AT_SECOND = POST_AT_NODE.replace(b"node-1", b"node-2")


def hedging(percent: float = 1000.0, lane: int = LOW) -> Hedging:
    """Second tries for one lane after a quarter of a second, as its last 64 answers have taught."""
    taught = Hedging(frozenset({lane}), percent, 1000.0)
    for _ in range(64):
        taught.answered(lane, DELAY_S)
    return taught


def hedged(rig: Rig, request: bytes = POST) -> tuple[MemoryTransport, MemoryTransport, MemoryTransport]:
    """Return a client, and the connections of both nodes that have its request."""
    first_node, second_node, client = rig.node(), rig.node(), rig.client()
    client.send(request)
    first = first_node.accept()
    assert second_node.is_quiet()
    rig.advance(DELAY_S + 2 * TICK_S)
    return client, first, second_node.accept()
