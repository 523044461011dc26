"""Whatever is under way when a node stops proving what it runs, none of it sends the node another byte."""

import hypothesis.strategies as st
from hypothesis import given

from priolb.attest.context import NotAttestedError
from support.memory import MemoryTransport
from support.messages import ANSWER, POST
from support.rig import MemoryNode, Rig

UPLOAD = b"PUT /a HTTP/1.1\r\nHost: balancer\r\nContent-Length: 1000\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: balancer\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
PARTS = [
    ANSWER,
    ANSWER[:20],
    ANSWER[20:],
    b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.sampled_from([POST, UPLOAD + b"x" * 500, UPGRADE, POST + POST])),
        st.tuples(st.just("put off"), st.integers(0, 20)),
        st.tuples(st.just("send"), st.integers(0, 20)),
        st.tuples(st.just("answer"), st.tuples(st.integers(0, 20), st.sampled_from(PARTS))),
        st.tuples(st.just("slow"), st.integers(0, 20)),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.sampled_from(["distrust", "trust"]), st.integers(0, 1)),
        st.tuples(st.just("time"), st.sampled_from([0.01, 1.0, 40.0])),
    ),
    max_size=40,
)


class Stage:
    """A rig with two nodes, of which those in `refused` do not prove themselves."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.nodes = [rig.node(), rig.node()]
        self.refused: set[int] = set()
        self.closed: dict[MemoryTransport, int] = {}
        """Connections that may get no more, and how often something was written to each."""
        for index, node in enumerate(self.nodes):
            node.on_dial = lambda index=index: self.shake_hands(index)  # type: ignore[misc]

    def shake_hands(self, index: int) -> None:
        if index in self.refused:
            self.rig.traffic.attested(self.nodes[index].state, "bad")
            raise NotAttestedError(1, "not attested: bad")

    def step(self, what: str, how: object) -> None:
        rig, clients = self.rig, [each for each in self.rig.clients if not each.is_lost]
        connections = [each for node in self.nodes for each in node.connections if not each.is_closing()]
        if what == "new":
            assert isinstance(how, bytes)
            rig.client().send(how)
        elif what == "put off":
            rig.client()._protocol.data_received(POST)
            return  # what comes next comes in the same turn
        elif what == "time":
            assert isinstance(how, float)
            rig.advance(how)
        elif what == "answer":
            assert isinstance(how, tuple)
            if connections:
                connections[how[0] % len(connections)].send(how[1])
        else:
            assert isinstance(how, int)
            if what in {"distrust", "trust"}:
                self.judge(how, is_refused=what == "distrust")
            elif what == "slow" and connections:
                connections[how % len(connections)].stop_reading()
            elif what == "send" and clients:
                clients[how % len(clients)].send(b"y" * 100)
            elif what == "leave" and clients:
                clients[how % len(clients)].break_off()
        rig.run()

    def judge(self, index: int, is_refused: bool) -> None:
        node: MemoryNode = self.nodes[index]
        if is_refused:
            self.refused.add(index)
            self.closed.update({each: len(each.writes) for each in node.connections})
        else:
            self.refused.discard(index)
        self.rig.traffic.attested(node.state, "bad" if is_refused else "")
        assert node.state.usable is not is_refused


@given(STEPS)
def test_no_connection_from_before_a_refusal_ever_sends_again(steps: list[tuple[str, object]]) -> None:
    with Rig(replay_max_bytes=100) as rig:
        stage = Stage(rig)
        for what, how in steps:
            stage.step(what, how)
            assert {each: len(each.writes) for each in stage.closed} == stage.closed
            assert all(node.state.healthy for node in stage.nodes), "that is another fact"
        for client in rig.clients:
            client.break_off()
        rig.advance(40)  # for the last bytes of those who have left, which a slow node may still take
