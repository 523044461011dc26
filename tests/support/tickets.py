"""Tickets, queues, nodes and ends of tries with plain numbers, for tests of the core."""

from math import inf

from priolb.core.nodes.node import NodeState
from priolb.core.outcome import Outcome, Phase, Source
from priolb.core.queueing.classify import FAST_TRACK, HIGH_PRIORITY, LANE_NAMES, LOW_PRIORITY
from priolb.core.queueing.discipline import FastHighLow, Strict
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from priolb.errors import Reason

LANE_LETTERS = {"f": FAST_TRACK, "h": HIGH_PRIORITY, "l": LOW_PRIORITY}


# A ticket has no room for a name. Nothing in the core asks when it came, so that tells here which it is.
_names: list[str] = []


def ticket(name: str, start_by: float = inf) -> Ticket:
    """Return a new ticket; its name starts with the letter of its lane: f, h or l."""
    _names.append(name)
    return Ticket(LANE_LETTERS[name[0]], float(len(_names) - 1), start_by)


def name_of(each: Ticket | None) -> str:
    """Return the name of a ticket, empty for none."""
    return _names[int(each.enqueued_at)] if each is not None else ""


def names(tickets: list[Ticket]) -> list[str]:
    return [name_of(each) for each in tickets]


def new_queue(
    fast_per_high: int = 2,
    drain_fast_first: bool = False,
    limits: tuple[int, int, int] = (0, 0, 0),
    limit_bytes: int = 0,
    max_wait_s: float = inf,
) -> PriorityQueue:
    lanes = [
        Lane(name, limit, limit_bytes, max_wait_s) for name, limit in zip(LANE_NAMES, limits, strict=True)
    ]
    return PriorityQueue(lanes, FastHighLow(fast_per_high, drain_fast_first))


def queue_of(*lengths: int) -> PriorityQueue:
    """Return a queue in whose lanes so many wait."""
    queue = PriorityQueue([Lane(str(lane)) for lane in range(len(lengths))], Strict())
    for lane, length in enumerate(lengths):
        for _ in range(length):
            assert queue.push(Ticket(lane, 0.0, inf))
    return queue


def node(node_id: int, slots: int = 1, healthy: bool = True) -> NodeState:
    return NodeState(node_id, f"http://node-{node_id}", slots, healthy)


def any_node(tried: frozenset[int]) -> bool:
    """Find a free node, whatever was tried; `no_node` finds none."""
    return True


def no_node(tried: frozenset[int]) -> bool:
    return False


def answered(status: int) -> Outcome:
    """A try that ended with a whole answer, of which the client has seen nothing yet."""
    return Outcome(Source.NODE, Phase.DONE, None, status, sent=True, answering=False)


def asks_to_wait(retry_after_s: float) -> Outcome:
    return Outcome(
        Source.NODE, Phase.DONE, None, 503, sent=True, answering=False, retry_after_s=retry_after_s
    )


def unreachable() -> Outcome:
    """A try that no byte left for."""
    return Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_UNREACHABLE, 0, sent=False, answering=False)


def unattested(sent: bool = False) -> Outcome:
    """A try at a node that has not proven what it runs, before or after a part of the request had left."""
    phase = Phase.SEND if sent else Phase.CONNECT
    return Outcome(Source.NODE, phase, Reason.NODE_UNATTESTED, 0, sent=sent, answering=False)


def no_socket() -> Outcome:
    """A try that no byte left for, and that says nothing of its node."""
    return Outcome(Source.NODE, Phase.CONNECT, Reason.NO_SOCKET, 0, sent=False, answering=False)


def timed_out() -> Outcome:
    """A try whose request the node may have seen."""
    return Outcome(Source.NODE, Phase.HEAD, Reason.NODE_TIMEOUT, 0, sent=True, answering=False)


def client_left() -> Outcome:
    return Outcome(Source.CLIENT, Phase.HEAD, None, 0, sent=True, answering=False)
