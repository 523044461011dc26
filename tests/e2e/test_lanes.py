"""Who is served first, seen at a node with one slot."""

from collections import defaultdict

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode
from support.wire import Client, post

FAST = "X-Fast-Track: true"
HIGH = "X-High-Priority: true"
LOW = "X-Nothing: true"
LANES = {"f": FAST, "h": HIGH, "l": LOW}


class Line:
    """Requests in line before the single slot of a node, which another request holds."""

    def __init__(self, balancer: Balancer, node: ScriptedNode, connect: Connect) -> None:
        self._balancer = balancer
        self._node = node
        self._connect = connect
        self._clients: list[Client] = [connect(balancer)]
        self._clients[0].send(post(b"holder"))
        self._holder = node.next_call()

    def join(self, names: str) -> None:
        """Put requests called like `f1 h1 l1` in line, as nearly at once as their order allows."""
        rounds: dict[str, list[str]] = defaultdict(list)
        for name in names.split():
            rounds[name[1:]].append(name)
        for batch in rounds.values():  # order matters inside a lane only
            for name in batch:
                client = self._connect(self._balancer)
                client.send(post(name.encode(), LANES[name[0]], f"X-Request-ID: {id(self)}-{name}"))
                self._clients.append(client)
            self._balancer.wait_queued(*(f"{id(self)}-{name}" for name in batch))

    def served(self) -> str:
        """Free the slot again and again; return the order in which requests got it."""
        self._holder.answer()
        order = []
        for _ in self._clients[1:]:
            call = self._node.next_call()
            assert self._node.is_quiet(), "one slot, one request"
            order.append(call.body.decode())
            call.answer(200, call.body)
        assert all(client.receive().status == 200 for client in self._clients)
        return " ".join(order)


@pytest.fixture
def line(balancer: Balancer, new_node: NewNode, connect: Connect) -> Line:
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    return Line(balancer, node, connect)


def test_two_fast_track_before_one_high_priority_and_low_when_both_are_empty(line: Line) -> None:
    line.join("l1 h1 f1 l2 h2 f2 h3 f3 f4 f5")
    assert line.served() == "f1 f2 h1 f3 f4 h2 f5 h3 l1 l2"


def test_inside_a_lane_the_first_to_come_is_the_first_to_go(line: Line) -> None:
    line.join("l1 l2 l3 l4")
    assert line.served() == "l1 l2 l3 l4"


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({"ITEMS_FASTTRACK_PER_HIGHPRIO": "1"}, "f1 h1 f2 h2 f3 l1"),
        ({"ITEMS_FASTTRACK_PER_HIGHPRIO": "0"}, "h1 h2 f1 f2 f3 l1"),
        ({"FASTTRACK_DRAIN_FIRST": "1"}, "f1 f2 f3 h1 h2 l1"),
    ],
)
def test_the_ratio_of_fast_track_to_high_priority_is_a_setting(
    launch: Launch, new_node: NewNode, connect: Connect, settings: dict[str, str], order: str
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", **settings)
    line = Line(balancer, node, connect)
    line.join("l1 h1 f1 h2 f2 f3")
    assert line.served() == order


@pytest.mark.parametrize(
    ("field", "is_high"),
    [
        ("X-High-Priority: true", True),
        ("x-high-priority: true", True),
        ("high_prio: true", True),
        ("X-High-Priority: false", False),
        ("X-High-Priority:", False),
        ("X-High-Priority: 1", False),
        ("X-Fast-Track: false", False),
    ],
)
def test_a_field_makes_a_request_urgent_only_when_it_says_true(
    balancer: Balancer, new_node: NewNode, connect: Connect, field: str, is_high: bool
) -> None:
    balancer.add_node(new_node(lambda call: call.answer()).uri)
    request_id = f"lane-{field}"
    connect(balancer).ask(post(b"{}", field, f"X-Request-ID: {request_id}"))
    queued = balancer.wait_for("Request added to queue", reqID=request_id)
    assert (queued["requestIsHighPrio"], queued["requestIsFastTrack"]) == (is_high, False)


def test_fast_track_beats_high_priority_when_a_request_says_both(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    balancer.add_node(new_node(lambda call: call.answer()).uri)
    connect(balancer).ask(post(b"{}", FAST, HIGH, "X-Request-ID: both"))
    queued = balancer.wait_for("Request added to queue", reqID="both")
    assert (queued["requestIsHighPrio"], queued["requestIsFastTrack"]) == (False, True)


def test_an_urgent_request_overtakes_until_the_moment_a_slot_is_free(line: Line) -> None:
    """Nothing is handed over ahead of time: the last to come may be the first to go."""
    line.join("l1 l2 l3")
    line.join("h1")
    line.join("f1")
    assert line.served() == "f1 h1 l1 l2 l3"


def test_the_lengths_of_the_queue_are_those_of_the_requests_own_lane(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    clients = [connect(balancer) for _ in range(5)]
    clients[0].send(post(b"holder"))
    holder = node.next_call()
    for client, (name, lane) in zip(
        clients[1:], [("qs-l1", LOW), ("qs-h1", HIGH), ("qs-h2", HIGH), ("qs-h3", HIGH)], strict=True
    ):
        client.send(post(name.encode(), lane, f"X-Request-ID: {name}"))
        balancer.wait_queued(name)
    holder.answer()
    for _ in clients[1:]:
        node.next_call().answer()
    answers = [client.receive() for client in clients[1:]]
    sizes = [
        (answer.field("X-PrioLB-QueueSizeStart"), answer.field("X-PrioLB-QueueSizeEnd")) for answer in answers
    ]
    assert sizes == [("1", "0"), ("1", "2"), ("2", "1"), ("3", "0")]


def test_each_node_works_on_as_many_requests_as_it_has_slots(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Its own `_workers`, or else -node-workers, and never more than connections to it are allowed."""
    own, default, bounded = new_node(), new_node(), new_node()
    uris = [f"{own.uri}?_workers=3", default.uri, f"{bounded.uri}?_workers=50"]
    balancer = launch("-nodes", ",".join(uris), NUM_NODE_WORKERS="2", ProxyMaxConnsPerHost="4")
    for uri in (own.uri, default.uri, bounded.uri):
        balancer.wait_for("Node is healthy", nodeURI=uri)
    clients = [connect(balancer) for _ in range(11)]
    for number, client in enumerate(clients):
        client.send(post(b"{}", f"X-Request-ID: {number}"))
    balancer.wait_queued(*(str(number) for number in range(11)))
    calls = [node.next_call() for node, slots in ((own, 3), (default, 2), (bounded, 4)) for _ in range(slots)]
    assert own.is_quiet() and default.is_quiet() and bounded.is_quiet()
    calls[0].answer()
    assert own.next_call().connection is calls[0].connection, "the tenth gets the slot that became free"
